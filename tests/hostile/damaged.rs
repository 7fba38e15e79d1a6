//! Damage at many places of a component. Nobody can say what a flipped bit means; it must be a typed error or a plugin like any other,
//! and the process goes on.

use serde_json::{Value, json};
use windlass::event::Step;
use windlass::secret::SecretValue;

use crate::component::{Contract, of_module};
use crate::support::account::{Account, Deployment, Function, Rotation};
use crate::support::canary::Canary;

const PLUGIN: &str = "looks-around";

/// A function, and a rotation whose next step is setSecret.
fn before_set() -> (Function, Rotation, Vec<u8>) {
    let whole = of_module(PLUGIN, PLUGIN, Contract::True);
    let account = Account::new();
    let configuration = format!("[limits]\ncall_seconds = 1\n[[secrets]]\nsecret = \"*\"\nplugin = \"{PLUGIN}\"\n");
    let plugins = vec![(format!("{PLUGIN}.wasm"), whole.clone())];
    let function = Deployment::new(configuration).plugins(plugins).deploy(&account);
    let value = json!({ "password": Canary::new().value() });
    let secret = account.secret("damaged", &SecretValue::text(value.to_string()), &[]);
    let rotation = account.begin(&secret, &Value::Null);
    function.succeed(&rotation.event(Step::Create));
    (function, rotation, whole)
}

/// The error of setSecret when the plugin's file is this.
fn set_with(function: &Function, rotation: &Rotation, file: &[u8]) -> Option<String> {
    function.replace_plugin(&format!("{PLUGIN}.wasm"), file);
    function.invoke(&rotation.event(Step::Set)).err().map(|error| error.error_type)
}

#[test]
fn a_component_that_is_cut_anywhere_is_refused() {
    let (function, rotation, whole) = before_set();
    for cut in (0..48).map(|nth| whole.len() * nth / 48) {
        let error = set_with(&function, &rotation, &whole[..cut]);
        assert_eq!(error.as_deref(), Some("Windlass.PluginNotLoadable"), "cut at {cut} of {}", whole.len());
    }
    assert_eq!(set_with(&function, &rotation, &whole).as_deref(), Some("Windlass.PluginInternal"));
}

#[test]
fn a_component_with_a_flipped_bit_is_refused_or_a_plugin_like_any_other() {
    let (function, rotation, whole) = before_set();
    let process = function.process_id();
    let mut refused = 0;
    for (nth, at) in (0..96).map(|nth| (nth, whole.len() * nth / 96)) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (nth % 8);
        let error = set_with(&function, &rotation, &flipped);
        assert!(error.as_ref().is_none_or(|error| error.starts_with("Windlass.")), "bit {} of byte {at}: {error:?}", nth % 8);
        refused += usize::from(error.as_deref() == Some("Windlass.PluginNotLoadable"));
    }
    assert!(refused > 48, "only {refused} of 96 damaged files were refused: is it the damaged file that is loaded?");
    assert_eq!(function.process_id(), process, "the process died of a damaged file");
    assert!(!function.output().contains("\"panicked\""));
}
