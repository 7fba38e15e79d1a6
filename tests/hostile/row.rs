//! A row of the corpus: a guest, where it stands, and what has to become of it.

use windlass::event::Step;

use crate::component::{Broken, Contract};
use crate::service::Manner;

/// A hostile guest and its one expected end.
#[derive(Clone)]
pub struct Row {
    /// The test's name, and part of the secret's.
    pub name: &'static str,
    pub plugin: Plugin,
    pub whereabouts: Whereabouts,
    /// What the operator lists as endpoints, if anything. `{honest}` stands for the port of the honest service.
    pub listed: Option<&'static str>,
    /// How many secrets it is to serve, one after the other, with the same end each time.
    pub times: usize,
    /// The step that has to fail; those before it have to succeed.
    pub step: Step,
    /// The error's type, without `Windlass.`.
    pub error: &'static str,
    /// What its message has to say.
    pub words: &'static [&'static str],
    /// What the guest's own lines in the log have to say.
    pub logged: &'static [&'static str],
    /// Whether the honest service has to be contacted. Otherwise it must not be.
    pub reaches: bool,
    pub place: Place,
}

/// What serves the secret.
#[derive(Clone, Copy)]
pub enum Plugin {
    /// The crate `tests/guests/hostile` with this behaviour.
    Guest { behaviour: &'static str, endpoint: &'static str, interface: &'static str },
    /// A module of `tests/guests/wat`.
    Module(&'static str, Contract),
    /// A file that is no plugin.
    Broken(Broken),
}

/// Where the secret says that its service is.
#[derive(Debug, Clone, Copy)]
pub enum Whereabouts {
    /// At a service of this manner, which the operator allows to be on loopback.
    Service(Manner),
    /// At this host, at the port where nobody may be reached.
    Forbidden(&'static str),
    /// At the function's own Runtime API.
    RuntimeApi,
}

/// Where the row can be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the machine itself.
    Here,
    /// In a namespace where the forbidden address exists and listens, or else on the machine.
    NamespaceOrHere,
    /// Only in a namespace.
    Namespace,
}

/// A behaviour of the crate, at the honest service.
pub fn guest(behaviour: &'static str) -> Row {
    Row::of(Plugin::Guest { behaviour, endpoint: "service", interface: "connection" })
}

/// A module of the folder `wat`.
pub fn module(name: &'static str) -> Row {
    Row::of(Plugin::Module(name, Contract::True))
}

/// A module that says something else of its contract.
pub fn module_with(name: &'static str, contract: Contract) -> Row {
    Row::of(Plugin::Module(name, contract))
}

/// A file that is no plugin.
pub fn broken(how: Broken) -> Row {
    Row::of(Plugin::Broken(how))
}

impl Row {
    const fn of(plugin: Plugin) -> Self {
        Self {
            name: "",
            plugin,
            whereabouts: Whereabouts::Service(Manner::Honest),
            listed: None,
            times: 1,
            step: Step::Set,
            error: "",
            words: &[],
            logged: &[],
            reaches: false,
            place: Place::Here,
        }
    }

    /// At an endpoint of the manifest, or what the guest says is one, over `connection` or `http`.
    pub fn opens(mut self, name: &'static str, over: &'static str) -> Self {
        if let Plugin::Guest { endpoint, interface, .. } = &mut self.plugin {
            (*endpoint, *interface) = (name, over);
        }
        self
    }

    pub const fn at(mut self, whereabouts: Whereabouts) -> Self {
        self.whereabouts = whereabouts;
        self
    }

    pub const fn at_a(self, manner: Manner) -> Self {
        self.at(Whereabouts::Service(manner))
    }

    pub const fn at_host(self, host: &'static str) -> Self {
        self.at(Whereabouts::Forbidden(host))
    }

    pub const fn listed(mut self, endpoint: &'static str) -> Self {
        self.listed = Some(endpoint);
        self
    }

    pub const fn twice(mut self) -> Self {
        self.times = 2;
        self
    }

    pub const fn logs(mut self, words: &'static [&'static str]) -> Self {
        self.logged = words;
        self
    }

    pub const fn reaches_the_service(mut self) -> Self {
        self.reaches = true;
        self
    }

    pub const fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Its end.
    pub const fn fails(mut self, step: Step, error: &'static str, words: &'static [&'static str]) -> Self {
        self.step = step;
        self.error = error;
        self.words = words;
        self
    }
}

/// What became of a row.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The step and the type of the error; or that there was none.
    pub end: String,
    pub message: String,
    /// From the first event to the last answer, in milliseconds.
    pub milliseconds: u64,
    /// How long after its deadline a call was over, in microseconds, if it exceeded it.
    pub overrun: Option<i64>,
    /// What is not as it has to be. Empty is good.
    pub faults: Vec<String>,
}

impl Row {
    /// What [`Seen::end`] has to be.
    pub fn end(&self) -> String {
        format!("{} {}", self.step.name(), self.error)
    }
}
