//! Where a rotation takes place: an account, a service behind a proxy, a secret for one of its users, a function.

use std::sync::Arc;

use serde_json::{Value, json};
use windlass::event::Step;
use windlass::local::invoker::InvocationError;
use windlass::local::store::{CURRENT, PENDING, PREVIOUS};
use windlass::secret::SecretValue;

use crate::support::account::{Account, Deployment, Function, Rotation, Secret};
use crate::support::canary::Canary;
use crate::support::pki::Kind;
use crate::support::proxy::Proxy;
use crate::support::rabbitmq::{Login, RabbitMq};
use crate::support::redis::Redis;

/// The user whose password is rotated in Redis.
pub const USER: &str = "app";

/// The real service.
pub enum Service {
    Redis(Box<Redis>),
    /// Shared by all tests; the user is this scene's own.
    RabbitMq(&'static RabbitMq, String),
}

/// A scene. The service and Secrets Manager stand behind proxies that pass everything on until a test says otherwise.
pub struct Scene {
    pub account: Arc<Account>,
    pub service: Service,
    /// In front of the service.
    pub proxy: Proxy,
    /// In front of Secrets Manager.
    pub secrets_manager: Proxy,
    pub secret: Secret,
    /// The password that the secret begins with.
    pub first: Canary,
    pub function: Function,
}

/// How a scene differs from a plain one.
#[derive(Default)]
pub struct Set {
    /// Over TLS: this kind of certificate.
    pub tls: Option<Kind>,
    /// More members of the secret, or other values for those it has. Null removes one.
    pub members: Value,
    /// More lines for windlass.toml, before its tables.
    pub configuration: String,
    /// windlass.toml does not say that the service may be on loopback.
    pub loopback_denied: bool,
    /// windlass.toml does not name the service's certificate authority.
    pub authority_unknown: bool,
}

impl Set {
    pub fn redis(self) -> Scene {
        let redis = Box::new(self.tls.map_or_else(Redis::start, Redis::start_with_certificate));
        let first = Canary::new();
        redis.add_user(USER, first.value());
        let port = if self.tls.is_some() { redis.tls_port } else { redis.port };
        let ca_file = redis.pki.ca_file();
        let value = json!({ "engine": "redis", "username": USER, "host": "localhost" });
        self.scene(Service::Redis(redis), port, "port", value, first, &ca_file)
    }

    pub fn rabbitmq(self) -> Scene {
        let rabbitmq = RabbitMq::shared();
        let first = Canary::new();
        let user = format!("user-{}", &first.value()[4..16]);
        rabbitmq.put_user(&user, first.value(), "administrator");
        let port = if self.tls.is_some() { rabbitmq.https_port } else { rabbitmq.http_port };
        let ca_file = rabbitmq.pki.ca_file();
        let value = json!({ "engine": "rabbitmq", "username": user, "host": "localhost" });
        self.scene(Service::RabbitMq(rabbitmq, user), port, "management_port", value, first, &ca_file)
    }

    fn scene(
        self,
        service: Service,
        port: u16,
        port_field: &str,
        mut value: Value,
        first: Canary,
        ca_file: &std::path::Path,
    ) -> Scene {
        let account = Account::new();
        let proxy = Proxy::before(port);
        let secrets_manager = Proxy::before(account.port());
        value["password"] = first.value().into();
        value[port_field] = proxy.port().into();
        if self.tls.is_none() {
            value["tls"] = false.into();
        }
        for (name, member) in self.members.as_object().into_iter().flatten() {
            value[name] = member.clone();
        }
        value.as_object_mut().unwrap().retain(|_, member| !member.is_null());
        let secret = account.secret("prod/app", &SecretValue::text(value.to_string()), &[]);
        let mut configuration = String::new();
        if !self.loopback_denied {
            let port = value[port_field].as_u64().unwrap_or_else(|| proxy.port().into());
            configuration += &format!("danger_loopback_endpoints = [\"localhost:{port}\"]\n");
        }
        configuration += &self.configuration;
        if !self.authority_unknown {
            configuration += &format!("\n[tls]\nca_files = [{ca_file:?}]\n");
        }
        let function = Deployment::new(configuration).secrets_manager(secrets_manager.port()).deploy(&account);
        Scene { account, service, proxy, secrets_manager, secret, first, function }
    }
}

impl Scene {
    /// The proxy in front of the service.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The proxy in front of Secrets Manager.
    pub fn secrets_manager(&self) -> &Proxy {
        &self.secrets_manager
    }

    pub fn begin(&self) -> Rotation {
        self.account.begin(&self.secret, &Value::Null)
    }

    /// Begins a rotation and runs the steps before this one.
    pub fn begin_before(&self, step: Step) -> Rotation {
        let rotation = self.begin();
        for before in Step::ALL.into_iter().take_while(|before| *before != step) {
            self.function.succeed(&rotation.event(before));
        }
        rotation
    }

    /// The file of the service's certificate authority.
    pub fn authority(&self) -> std::path::PathBuf {
        match &self.service {
            Service::Redis(redis) => redis.pki.ca_file(),
            Service::RabbitMq(rabbitmq, _) => rabbitmq.pki.ca_file(),
        }
    }

    /// A plain configuration for this scene.
    pub fn configuration(&self) -> String {
        format!("danger_loopback_endpoints = [\"localhost:{}\"]\n", self.proxy.port())
    }

    /// A second process of the same function, which reaches Secrets Manager directly.
    pub fn another_function(&self) -> Function {
        Deployment::new(self.configuration()).deploy(&self.account)
    }

    /// Another secret takes the stage.
    pub fn with_secret(mut self, value: &SecretValue, tags: &[(&str, &str)]) -> Self {
        self.secret = self.account.secret("prod/other", value, tags);
        self
    }

    /// Another deployment of the function takes the stage.
    pub fn with_function(mut self, deployment: Deployment) -> Self {
        self.function = deployment.deploy(&self.account);
        self
    }

    pub fn current(&self) -> Option<String> {
        self.account.password(&self.secret, CURRENT)
    }

    pub fn pending(&self) -> Option<String> {
        self.account.password(&self.secret, PENDING)
    }

    pub fn previous(&self) -> Option<String> {
        self.account.password(&self.secret, PREVIOUS)
    }

    /// Whether the service takes a password, asked past the function and the proxy.
    pub fn accepts(&self, password: &str) -> bool {
        match &self.service {
            Service::Redis(redis) => redis.accepts(USER, password),
            Service::RabbitMq(rabbitmq, user) => rabbitmq.login(user, password) == Login::Accepted,
        }
    }

    /// Invariant: at every moment a labelled version logs in, and clients, who read AWSCURRENT, can be served by it or by the one
    /// that is about to be.
    #[track_caller]
    pub fn one_works(&self) {
        let labelled = [self.current(), self.pending(), self.previous()];
        assert!(labelled.into_iter().flatten().any(|password| self.accepts(&password)), "no stored credential works");
    }

    /// The end of a rotation: AWSCURRENT is on its version and logs in.
    #[track_caller]
    pub fn finished(&self, rotation: &Rotation) {
        assert_eq!(self.account.holder(&self.secret, CURRENT).as_deref(), Some(rotation.version()));
        assert!(self.accepts(&self.current().unwrap()), "the new credential does not work");
    }

    /// What the service knows of its users.
    pub fn users(&self) -> String {
        match &self.service {
            Service::Redis(redis) => redis.command(&["ACL", "LIST"]),
            Service::RabbitMq(rabbitmq, user) => rabbitmq.user(user).to_string(),
        }
    }

    /// Invokes, expecting an error: of this type, with these words, and without any change of secret or service.
    #[track_caller]
    pub fn fails(&self, event: &Value, error_type: &str, words: &[&str]) -> InvocationError {
        let before = (self.account.state(&self.secret), self.users());
        let error = self.function.invoke(event).expect_err("the step has to fail");
        assert_error(&error, error_type, words);
        assert!(before == (self.account.state(&self.secret), self.users()), "something was changed by a step that failed");
        error
    }

    /// The same, and before anything was sent to the service.
    #[track_caller]
    pub fn refused(&self, event: &Value, error_type: &str, words: &[&str]) -> InvocationError {
        let before = self.proxy.turns();
        let error = self.fails(event, error_type, words);
        assert_eq!(self.proxy.turns(), before, "the service was contacted by a step that was refused");
        error
    }
}

#[track_caller]
pub fn assert_error(error: &InvocationError, error_type: &str, words: &[&str]) {
    assert_eq!(error.error_type, error_type, "{error}");
    for words in words {
        assert!(error.error_message.contains(words), "`{words}` is not in: {error}");
    }
}
