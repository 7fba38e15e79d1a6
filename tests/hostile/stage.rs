//! Where the rows are tried: one account, one warm `bootstrap` process that serves all of them, one after the other, and whatever
//! they may and may not reach.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass::event::Step;
use windlass::local::store::CURRENT;
use windlass::secret::SecretValue;

use crate::component;
use crate::corpus::rows;
use crate::forbidden::Forbidden;
use crate::network;
use crate::row::{Place, Plugin, Row, Seen, Whereabouts};
use crate::service::{Manner, Service};
use crate::support::account::{Account, Deployment, Function};
use crate::support::built;
use crate::support::canary::Canary;
use crate::support::tap::Tap;

/// How long a plugin's call may take here, which is the least that the configuration allows.
pub const CALL: Duration = Duration::from_secs(1);

/// How late a call may be over. Generous, because the tests share the machine; the table says how late each one is.
const LATEST: Duration = Duration::from_secs(2);

/// The most lines that a call may log, the one included that says how many were dropped.
const LINES: usize = 201;

/// Asserts that a row ends as the corpus says.
#[track_caller]
pub fn holds(name: &str) {
    match seen(name) {
        Ok(seen) => assert!(seen.faults.is_empty(), "{name}: {}\n{seen:?}", seen.faults.join("; ")),
        Err(why) => network::not_run(name, &why),
    }
}

/// What became of a row. It is tried once, by whoever asks first.
///
/// # Errors
///
/// Why it cannot be tried on this machine.
pub fn seen(name: &str) -> Result<Seen, String> {
    static SEEN: Mutex<BTreeMap<String, Arc<OnceLock<Seen>>>> = Mutex::new(BTreeMap::new());
    static STAGE: OnceLock<Stage> = OnceLock::new();
    let row = rows().into_iter().find(|row| row.name == name).unwrap();
    match (row.place, network::seen()) {
        (Place::Namespace | Place::NamespaceOrHere, Ok(seen)) => return Ok(seen[name].clone()),
        (Place::Namespace, Err(why)) => return Err(why.clone()),
        (Place::NamespaceOrHere, Err(_)) | (Place::Here, _) => {}
    }
    let seen = Arc::clone(SEEN.lock().unwrap().entry(name.to_owned()).or_default());
    Ok(seen.get_or_init(|| STAGE.get_or_init(|| Stage::new(Forbidden::on_loopback(), Neighbours::default())).show(&row)).clone())
}

/// What the function serves besides the rows.
#[derive(Default)]
pub struct Neighbours {
    /// Ports of `localhost` where their services are.
    pub ports: Vec<u16>,
    /// Files of their plugins: name and content.
    pub plugins: Vec<(String, Vec<u8>)>,
}

/// The stage.
pub struct Stage {
    pub account: Arc<Account>,
    pub function: Function,
    /// One row at a time, so that what is logged and contacted meanwhile is its doing.
    turn: Mutex<()>,
    services: Vec<(Manner, Service)>,
    forbidden: Vec<Forbidden>,
    runtime_api: Arc<Tap>,
}

impl Stage {
    /// A stage for all rows. The secrets of those that are at a forbidden host name the port of `forbidden`.
    pub fn new(forbidden: Forbidden, neighbours: Neighbours) -> Self {
        let manners = [Manner::Honest, Manner::Silent, Manner::EndlessBody, Manner::ManyHeaders, Manner::SlowLoris];
        let services: Vec<_> = manners.map(|manner| (manner, Service::start(manner))).into();
        let runtime_api = Tap::new();
        let ports = services.iter().map(|(_, service)| service.port).chain(neighbours.ports);
        let mut loopback: Vec<_> = ports.map(|port| format!("localhost:{port}")).collect();
        // Which must not help.
        loopback.push(runtime_api.address().to_string());
        let mut configuration = format!("danger_loopback_endpoints = {loopback:?}\n[limits]\ncall_seconds = {}\n", CALL.as_secs());
        let mut plugins = neighbours.plugins;
        plugins.push(("hostile.wasm".to_owned(), std::fs::read(built::guest("hostile")).unwrap()));
        for row in rows() {
            let name = row.name.replace('_', "-");
            let (plugin, settings) = match row.plugin {
                Plugin::Guest { behaviour, endpoint, interface } => {
                    ("hostile", format!("{{ behaviour = {behaviour:?}, endpoint = {endpoint:?}, interface = {interface:?} }}"))
                }
                Plugin::Module(module, contract) => {
                    plugins.push((format!("{name}.wasm"), component::of_module(module, &name, contract)));
                    (name.as_str(), "{}".to_owned())
                }
                Plugin::Broken(how) => {
                    plugins.push((format!("{name}.wasm"), how.file(&name)));
                    (name.as_str(), "{}".to_owned())
                }
            };
            configuration += &format!("[[secrets]]\nsecret = \"{}/*\"\nplugin = {plugin:?}\nsettings = {settings}\n", row.name);
            if let Some(listed) = row.listed {
                configuration += &format!("endpoints = [{:?}]\n", listed.replace("{honest}", &services[0].1.port.to_string()));
            }
        }
        let account = Account::new();
        let tap = Some(Arc::clone(&runtime_api));
        let deployment = Deployment { runtime_api: tap, ..Deployment::new(configuration).plugins(plugins) };
        let function = deployment.deploy(&account);
        Self { account, function, turn: Mutex::default(), services, forbidden: vec![forbidden], runtime_api }
    }

    /// Watches these addresses as well, at a port of their own.
    pub fn watching(mut self, port: u16, ips: &[IpAddr]) -> Self {
        self.forbidden.push(Forbidden::at(port, ips));
        self
    }

    /// Tries a row, on as many secrets as it wants, and looks for what must not have happened.
    pub fn show(&self, row: &Row) -> Seen {
        let _turn = self.turn.lock().unwrap();
        let (began, written, contacted) = (Instant::now(), self.function.output_length(), self.contacted());
        let (heard, answered) = (self.runtime_api.heard().len(), self.function.answers().len());
        let process = self.function.process_id();
        let mut faults = Vec::new();
        let mut ends = Vec::new();
        for nth in 0..row.times {
            ends.push(self.rotate(row, nth).unwrap_or_else(|fault| {
                faults.push(fault.to_owned());
                (String::new(), String::new())
            }));
        }
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap();
        let output = self.function.output_since(written);
        for (end, message) in &ends {
            if *end != row.end() {
                faults.push(format!("the end has to be: {}", row.end()));
            }
            faults
                .extend(row.words.iter().filter(|words| !message.contains(**words)).map(|words| format!("does not say `{words}`")));
        }
        let (lines, overrun) = logged(&output);
        let unlogged = row.logged.iter().filter(|words| !lines.iter().any(|line| line.contains(**words)));
        faults.extend(unlogged.map(|words| format!("does not log `{words}`")));
        if lines.len() > LINES * row.times {
            faults.push(format!("logs {} lines", lines.len()));
        }
        if overrun.is_some_and(|overrun| overrun > i64::try_from(LATEST.as_micros()).unwrap()) {
            faults.push("is stopped too late".to_owned());
        }
        for (what, text) in [("the log", &output), ("the answers", &self.function.answers().split_off(answered).into_bytes())] {
            faults.extend(self.account.leaked(text).map(|leak| format!("{what} holds {leak}")));
        }
        if (self.contacted() > contacted) != row.reaches {
            faults.push(if row.reaches { "does not reach its service" } else { "reaches the service" }.to_owned());
        }
        faults.extend(self.trespassed(heard));
        // Before the first row there is none yet.
        if process.is_some() && self.function.process_id() != process {
            faults.push("the process did not survive it".to_owned());
        }
        let (end, message) = ends.remove(0);
        Seen { end, message, milliseconds, overrun, faults }
    }

    /// Rotates the `nth` secret of a row, up to the first step that fails. The step and the error's type, and its message.
    ///
    /// # Errors
    ///
    /// Something that must not have happened to the secret.
    pub fn rotate(&self, row: &Row, nth: usize) -> Result<(String, String), &'static str> {
        let (host, port) = match row.whereabouts {
            Whereabouts::Service(manner) => ("localhost", self.port_of(manner)),
            Whereabouts::Forbidden(host) => (host, self.forbidden[0].port),
            Whereabouts::RuntimeApi => ("127.0.0.1", self.runtime_api.address().port()),
        };
        let first = Canary::new();
        let value = json!({
            "username": "app",
            "host": host,
            "port": port,
            "neighbour_port": self.forbidden[0].port,
            "tls": false,
            "password": first.value(),
        });
        let secret = self.account.secret(&format!("{}/{nth}", row.name), &SecretValue::text(value.to_string()), &[]);
        let rotation = self.account.begin(&secret, &Value::Null);
        let end = Step::ALL.into_iter().find_map(|step| match self.function.invoke(&rotation.event(step)) {
            Ok(_) => None,
            Err(error) => {
                let kind = error.error_type.strip_prefix("Windlass.").unwrap_or(&error.error_type).to_owned();
                Some((format!("{} {kind}", step.name()), error.error_message))
            }
        });
        if self.account.password(&secret, CURRENT).as_deref() != Some(first.value()) {
            return Err("AWSCURRENT was moved");
        }
        end.ok_or("no step failed")
    }

    fn port_of(&self, manner: Manner) -> u16 {
        self.services.iter().find(|(of, _)| *of == manner).unwrap().1.port
    }

    /// How many connections the honest service has had.
    fn contacted(&self) -> u32 {
        self.services.iter().filter(|(of, _)| *of == Manner::Honest).map(|(_, service)| service.connections()).sum()
    }

    /// Who was contacted that no plugin may contact, apart from the first connections to the Runtime API.
    fn trespassed(&self, known: usize) -> Vec<String> {
        let heard = self.forbidden.iter().flat_map(Forbidden::heard).map(|address| format!("connects to {address}"));
        // lambda_runtime asks for events and answers them, and nothing else.
        let own = |request: &Vec<u8>| {
            [&b"GET /2018-06-01/runtime/invocation/next "[..], b"POST /2018-06-01/runtime/invocation/"]
                .into_iter()
                .any(|own| request.starts_with(own))
        };
        let marked = |request: &Vec<u8>| request.windows(14).any(|bytes| bytes == b"from-the-guest");
        let foreign = self.runtime_api.heard().into_iter().skip(known).filter(|request| !own(request) || marked(request));
        heard.chain(foreign.map(|_| "connects to the Runtime API".to_owned())).collect()
    }
}

/// The lines of guests in the function's output, and how late the last call that exceeded its time was over, in microseconds.
fn logged(output: &[u8]) -> (Vec<String>, Option<i64>) {
    let (mut lines, mut overrun) = (Vec::new(), None);
    for line in String::from_utf8_lossy(output).lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        if event["target"] == "plugin" {
            lines.push(event["message"].to_string());
        }
        if event["error_type"] == "Windlass.PluginDeadline" {
            overrun = Some(event["plugin_us"].as_i64().unwrap() - i64::try_from(CALL.as_micros()).unwrap());
        }
    }
    (lines, overrun)
}
