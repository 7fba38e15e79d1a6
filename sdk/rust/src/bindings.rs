//! What wit-bindgen makes of the contract. Nothing else of the crate is generated.
#![allow(unsafe_code, missing_docs, unreachable_pub, unused_qualifications, reason = "generated code")]
#![allow(clippy::all, clippy::use_self, clippy::allow_attributes_without_reason, reason = "generated code")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "windlass_sdk::bindings",
});
