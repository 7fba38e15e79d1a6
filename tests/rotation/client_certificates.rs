//! A real service that serves nobody without a certificate.

use windlass::event::Step;
use windlass::local::store::CURRENT;
use windlass::secret::SecretValue;

use crate::scene::{Scene, Service, Set};
use crate::support::account::Deployment;
use crate::support::pki::{CertificateFiles, Kind, Pki};

/// A Redis that demands a certificate of its authority, and a function whose rule for `prod/app` names the one that `issued`
/// answers.
fn scene(issued: impl Fn(&Pki) -> CertificateFiles) -> Scene {
    let scene = Set { tls: Some(Kind::Good), ..Set::default() }.redis();
    let Service::Redis(redis) = &scene.service else { panic!("this is Redis") };
    redis.command(&["CONFIG", "SET", "tls-auth-clients", "yes"]);
    let CertificateFiles { certificate, key } = issued(&redis.pki);
    let configuration = format!(
        "{}[tls]\nca_files = [{:?}]\n[[secrets]]\nsecret = \"prod/app\"\n\
         client_certificate = {{ certificate_file = {certificate:?}, key_file = {key:?} }}\n",
        scene.configuration(),
        redis.pki.ca_file(),
    );
    scene.with_function(Deployment::new(configuration))
}

#[test]
fn a_service_that_demands_a_certificate_gets_the_one_of_the_secrets_rule() {
    let scene = scene(Pki::client_certificate);
    let rotation = scene.begin();
    for step in Step::ALL {
        scene.function.succeed(&rotation.event(step));
    }
    scene.finished(&rotation);
}

/// The same credential for the same service, in a secret that no rule is about.
#[test]
fn another_secret_does_not_get_it() {
    let scene = scene(Pki::client_certificate);
    let value = SecretValue::text(scene.account.value(&scene.secret, CURRENT).unwrap());
    let scene = scene.with_secret(&value, &[]);
    let rotation = scene.begin_before(Step::Set);
    let words = ["the service demands a client certificate", "`client_certificate = { certificate_file = "];
    scene.fails(&rotation.event(Step::Set), "Windlass.Unreachable", &words);
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let stranger = Pki::new();
    let scene = scene(|_| stranger.client_certificate());
    let rotation = scene.begin_before(Step::Set);
    let words = ["client certificate", "Correct `client_certificate` in the secret's rule"];
    scene.fails(&rotation.event(Step::Set), "Windlass.Unreachable", &words);
}
