//! Unit tests of a plugin, natively and without WebAssembly.
//!
//! A [`Scene`] is everything a plugin can see: versions of the secret, settings, endpoints. It plays the two steps as the host calls
//! them; in `test-secret` only the pending version exists.
//!
//! ```
//! # use windlass_sdk::{Credential, Failure, Secret, Service, http};
//! # struct Acme;
//! # impl Service for Acme {
//! #     type Session = ();
//! #     fn login(credential: &Credential) -> Result<(), Failure> {
//! #         let (user, password) = (credential.required("username")?, credential.required("password")?);
//! #         http::get("api", "/me").basic_auth(&user, &password).send()?.ok().map(drop)
//! #     }
//! #     fn change(_: &mut (), _: &Credential) -> Result<(), Failure> {
//! #         Ok(())
//! #     }
//! # }
//! use windlass_sdk::testing::Scene;
//! use windlass_sdk::{Cause, http::Response};
//!
//! let mut scene = Scene::new()
//!     .pending([("username", "app"), ("password", "wrong")])
//!     .http("api", |request| Response::new(if request.path() == "/me" { 401 } else { 404 }, ""));
//! assert_eq!(scene.test_secret::<Acme>().unwrap_err().cause(), Cause::Unauthorized);
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::http::{Request, Response};
use crate::log::Level;
use crate::{Credential, Failure, Outcome, Role, Steps, Versions};

/// What a plugin can see during a unit test.
#[derive(Default)]
pub struct Scene {
    versions: BTreeMap<Role, Version>,
    settings: BTreeMap<String, String>,
    addresses: BTreeMap<String, SocketAddr>,
    services: BTreeMap<String, Rc<RefCell<HttpService>>>,
    lines: Vec<(Level, String)>,
    refused: Vec<Role>,
}

type HttpService = dyn FnMut(&Request) -> Response;

#[derive(Clone)]
struct Version {
    fields: BTreeMap<String, String>,
    text: String,
}

impl Scene {
    /// One in which nothing exists.
    pub fn new() -> Self {
        Self::default()
    }

    /// The new credential, by its fields.
    #[must_use]
    pub fn pending<const N: usize>(self, fields: [(&str, &str); N]) -> Self {
        self.version(Role::Pending, fields)
    }

    /// The credential in use.
    #[must_use]
    pub fn current<const N: usize>(self, fields: [(&str, &str); N]) -> Self {
        self.version(Role::Current, fields)
    }

    /// The credential in use before that.
    #[must_use]
    pub fn previous<const N: usize>(self, fields: [(&str, &str); N]) -> Self {
        self.version(Role::Previous, fields)
    }

    /// The credential that may change this one.
    #[must_use]
    pub fn admin<const N: usize>(self, fields: [(&str, &str); N]) -> Self {
        self.version(Role::Admin, fields)
    }

    /// A version by its role. Its text is a JSON object of the fields.
    #[must_use]
    pub fn version<const N: usize>(mut self, role: Role, fields: [(&str, &str); N]) -> Self {
        let text = crate::json::object(fields);
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.versions.insert(role, Version { fields, text });
        self
    }

    /// A version whose secret is plain text: it has no fields.
    #[must_use]
    pub fn plain_text(mut self, role: Role, text: &str) -> Self {
        self.versions.insert(role, Version { fields: BTreeMap::new(), text: text.to_owned() });
        self
    }

    /// A setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// An endpoint for [`connection::open`](crate::connection::open): a TCP listener of the test, spoken to in plain text.
    #[must_use]
    pub fn endpoint(mut self, name: &str, address: SocketAddr) -> Self {
        self.addresses.insert(name.to_owned(), address);
        self
    }

    /// An endpoint for [`http`](crate::http): a function that answers each request.
    #[must_use]
    pub fn http(mut self, name: &str, service: impl FnMut(&Request) -> Response + 'static) -> Self {
        self.services.insert(name.to_owned(), Rc::new(RefCell::new(service)));
        self
    }

    /// Runs the step `set-secret`.
    ///
    /// # Errors
    ///
    /// Those of the plugin.
    pub fn set_secret<P: Steps>(&mut self) -> Result<Outcome, Failure> {
        self.run(|| P::set_secret(&Versions::read()))
    }

    /// Runs the step `test-secret`.
    ///
    /// # Errors
    ///
    /// Those of the plugin.
    pub fn test_secret<P: Steps>(&mut self) -> Result<(), Failure> {
        let hidden = self.versions.split_off(&Role::Current);
        let verdict = self.run(|| P::test_secret(&Credential::of(Role::Pending)));
        self.versions.extend(hidden);
        verdict
    }

    /// Runs any code of the plugin in this scene, with the versions at hand.
    pub fn with<T>(&mut self, code: impl FnOnce(&Versions) -> T) -> T {
        self.run(|| code(&Versions::read()))
    }

    /// What the plugin logged so far.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|(_, line)| line.as_str())
    }

    /// The versions with which a login was refused so far, each as often as it was. The host bounds them.
    pub fn refused(&self) -> &[Role] {
        &self.refused
    }

    fn run<T>(&mut self, code: impl FnOnce() -> T) -> T {
        STAGE.set(Some(std::mem::take(self)));
        let result = code();
        *self = STAGE.take().expect("set above, on this thread");
        result
    }
}

thread_local! {
    static STAGE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

/// What [`crate::host`] finds natively: the scene that this thread plays.
pub(crate) mod stage {
    use std::hash::{BuildHasher, RandomState};
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::{Failure, Level, Request, Response, Role, STAGE, Scene};

    fn look<T>(at: impl FnOnce(&mut Scene) -> T) -> T {
        STAGE.with_borrow_mut(|scene| at(scene.as_mut().expect("plugin code runs inside a `Scene` in native tests")))
    }

    pub(crate) fn field(of: Role, name: &str) -> Option<String> {
        look(|scene| scene.versions.get(&of)?.fields.get(name).cloned())
    }

    pub(crate) fn text(of: Role) -> Option<String> {
        look(|scene| scene.versions.get(&of).map(|version| version.text.clone()))
    }

    pub(crate) fn bytes(of: Role) -> Option<Vec<u8>> {
        text(of).map(String::into_bytes)
    }

    pub(crate) fn setting(name: &str) -> Option<String> {
        look(|scene| scene.settings.get(name).cloned())
    }

    pub(crate) fn refused(of: Role) {
        look(|scene| scene.refused.push(of));
    }

    pub(crate) fn log(level: Level, line: &str) {
        look(|scene| scene.lines.push((level, line.to_owned())));
    }

    /// Random enough for a test.
    pub(crate) fn random(count: u32) -> Vec<u8> {
        (0..count).map(|at| RandomState::new().hash_one(at) as u8).collect()
    }

    pub(crate) fn send(request: Request) -> Result<Response, Failure> {
        let service = look(|scene| scene.services.get(&request.endpoint).cloned()).ok_or_else(|| no_endpoint(&request.endpoint))?;
        Ok(service.borrow_mut()(&request))
    }

    #[derive(Debug)]
    pub(crate) struct Stream(TcpStream);

    impl Stream {
        pub(crate) fn open(endpoint: &str) -> Result<Self, Failure> {
            let address = look(|scene| scene.addresses.get(endpoint).copied()).ok_or_else(|| no_endpoint(endpoint))?;
            let stream = TcpStream::connect(address).map_err(|_| Failure::unreachable("cannot connect").unchanged())?;
            // A service that never answers fails the test instead of stopping it.
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            Ok(Self(stream))
        }

        pub(crate) fn read(&mut self, max: u32) -> Result<Vec<u8>, Failure> {
            let mut bytes = vec![0; max.clamp(1, 65_536) as usize];
            let read = self.0.read(&mut bytes)?;
            bytes.truncate(read);
            Ok(bytes)
        }

        pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
            Ok(self.0.write_all(bytes)?)
        }

        pub(crate) fn start_tls(&self) -> Result<(), Failure> {
            Err(Failure::denied("native tests have no TLS"))
        }
    }

    fn no_endpoint(name: &str) -> Failure {
        Failure::denied(["the manifest has no endpoint `", name, "`"].concat())
    }
}
