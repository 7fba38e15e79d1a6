//! `windlass keygen`, `windlass sign`, and what `windlass inspect` says of a signature.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use crate::support::built;
use crate::support::process::{Finished, Program};

/// A folder with the plugin for Redis and, unless a test makes another, `release.key`.
struct Desk(TempDir);

impl Desk {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(built::plugin("redis"), folder.path().join("redis.wasm")).unwrap();
        Self(folder)
    }

    fn with_key() -> Self {
        let desk = Self::empty();
        desk.keygen("release.key").succeeded();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    fn windlass(&self, arguments: &[&str]) -> Finished {
        Program::windlass().folder(self.0.path()).args(arguments).run()
    }

    fn keygen(&self, file: &str) -> Finished {
        self.windlass(&["keygen", file])
    }

    fn sign(&self, key: &str, plugins: &[&str]) -> Finished {
        self.windlass(&[&["sign", "--key", key], plugins].concat())
    }

    /// What `windlass inspect` says of the signature.
    fn seen(&self) -> String {
        let words = self.windlass(&["inspect", "redis.wasm"]).succeeded().stdout;
        let (_, signature) = words.split_once("\nSignature\n  ").unwrap();
        signature.trim_end().replace(&self.public(), "[key]")
    }

    fn public(&self) -> String {
        self.text("release.key.pub").trim_end().to_owned()
    }

    fn openssl(&self, arguments: &[&str]) -> Finished {
        Program::installed("openssl").folder(self.0.path()).args(arguments).run().succeeded()
    }
}

#[test]
fn keygen_writes_a_key_that_nobody_else_reads_and_says_what_to_do_with_it() {
    let desk = Desk::empty();
    let finished = desk.keygen("release.key").succeeded();
    assert_eq!(finished.stderr, "");
    insta::assert_snapshot!(finished.stdout.replace(&desk.public(), "[key]"), @r#"
    private key  release.key  keep it where plugins are signed, never in the function
    public key   release.key.pub  [key]

    Sign plugins:

      windlass sign --key release.key NAME.wasm

    Let the function run only what this key has signed, in windlass.toml:

    [trust]
    require = "signature"
    keys = { release = "[key]" }
    "#);
    assert_eq!((desk.mode("release.key"), desk.mode("release.key.pub")), (0o600, 0o644));
    // What is printed for windlass.toml is right.
    let (_, toml) = finished.stdout.split_once("[trust]").unwrap();
    fs::write(desk.path("windlass.toml"), format!("[trust]{toml}")).unwrap();
    desk.windlass(&["config", "check", "windlass.toml"]).succeeded();
    // The private key is in its file only.
    let private = desk.text("release.key");
    let private = private.lines().nth(1).unwrap();
    assert!(!finished.stdout.contains(private) && !desk.text("release.key.pub").contains(private));
}

#[test]
fn keygen_says_in_json_what_it_made() {
    let desk = Desk::empty();
    let made = desk.windlass(&["keygen", "my release.key", "--json"]).succeeded().json();
    let public = desk.text("my release.key.pub");
    assert_eq!(
        made,
        json!({ "private_key": "my release.key", "public_key_file": "my release.key.pub", "public_key": public.trim_end() })
    );
}

#[rstest]
#[case::private("release.key", "release.key.pub")]
#[case::public("release.key.pub", "release.key")]
fn keygen_writes_over_nothing_and_leaves_no_half_a_pair(#[case] existing: &str, #[case] other: &str) {
    let desk = Desk::empty();
    fs::write(desk.path(existing), "precious").unwrap();
    let finished = desk.keygen("release.key").failed_with(1);
    assert!(finished.stderr.starts_with(&format!("error: {existing} exists and is not written over")), "{finished:?}");
    assert_eq!((finished.stdout.as_str(), desk.text(existing).as_str()), ("", "precious"));
    assert!(!desk.path(other).exists());
}

#[test]
fn keygen_follows_no_symbolic_link() {
    let desk = Desk::empty();
    std::os::unix::fs::symlink(desk.path("elsewhere"), desk.path("release.key")).unwrap();
    desk.keygen("release.key").failed_with(1);
    assert!(!desk.path("elsewhere").exists());
}

#[test]
fn a_key_in_a_folder_that_does_not_exist_is_not_written() {
    let finished = Desk::empty().keygen("nowhere/release.key").failed_with(1);
    assert!(finished.stderr.starts_with("error: nowhere/release.key cannot be written\n  because: "), "{finished:?}");
}

#[test]
fn inspect_says_by_whom_a_plugin_is_signed_and_whether_for_these_bytes() {
    let desk = Desk::with_key();
    assert_eq!(desk.seen(), "not signed: there is no redis.wasm.sig beside it");
    let finished = desk.sign("release.key", &["redis.wasm"]).succeeded();
    assert_eq!(finished.stderr, "");
    let digest = desk.windlass(&["inspect", "--json", "redis.wasm"]).json()["digest"].as_str().unwrap().to_owned();
    assert_eq!(finished.stdout, format!("redis.wasm.sig  redis 0.1.0  {digest}\nsigned by {}\n", desk.public()));
    assert_eq!(desk.mode("redis.wasm.sig"), 0o644);
    assert_eq!(desk.seen(), "signed by [key] (redis.wasm.sig); whether that counts is for an operator's `trust.keys` to say");
    let in_json = || desk.windlass(&["inspect", "--json", "redis.wasm"]).json()["signed_by"].clone();
    assert_eq!(in_json(), json!(desk.public()));
    // Signing again gives the same signature, in the place of the first.
    let first = desk.text("redis.wasm.sig");
    desk.sign("release.key", &["redis.wasm"]).succeeded();
    assert_eq!(desk.text("redis.wasm.sig"), first);
    // Other bytes under the same name.
    let wasm = fs::read(desk.path("redis.wasm")).unwrap();
    fs::write(desk.path("redis.wasm"), [&wasm[..], b"\0\x02\x01x"].concat()).unwrap();
    assert_eq!(desk.seen(), "redis.wasm.sig is not for this component: no signature of it by [key]");
    assert_eq!(in_json(), json!(null));
    fs::write(desk.path("redis.wasm.sig"), "hello").unwrap();
    assert_eq!(
        desk.seen(),
        "redis.wasm.sig is no signature that this Windlass knows: its first line is not `windlass plugin signature 1`"
    );
}

#[test]
fn sign_says_in_json_what_it_signed() {
    let desk = Desk::with_key();
    fs::copy(built::plugin("rabbitmq"), desk.path("rabbitmq.wasm")).unwrap();
    let signed = desk.sign("release.key", &["redis.wasm", "rabbitmq.wasm", "--json"]).succeeded().json();
    let of = |name: &str| {
        let digest = &desk.windlass(&["inspect", "--json", &format!("{name}.wasm")]).json()["digest"];
        json!({ "name": name, "version": "0.1.0", "digest": digest, "key": desk.public(), "path": format!("{name}.wasm.sig") })
    };
    assert_eq!(signed, json!([of("redis"), of("rabbitmq")]));
    assert!(desk.path("redis.wasm.sig").exists() && desk.path("rabbitmq.wasm.sig").exists());
}

/// Another implementation of Ed25519 and of key files agrees, and the signed text is what the documentation says.
#[test]
fn openssl_verifies_what_was_signed() {
    let desk = Desk::with_key();
    desk.sign("release.key", &["redis.wasm"]).succeeded();
    let digest = desk.windlass(&["inspect", "--json", "redis.wasm"]).json()["digest"].as_str().unwrap().to_owned();
    let message = |version: &str| {
        format!("windlass plugin signature 1\nname redis\nversion {version}\ncontract windlass:rotation@0.1.0\ndigest {digest}\n")
    };
    let text = desk.text("redis.wasm.sig");
    let signature = text.lines().nth(2).unwrap().strip_prefix("signature ").unwrap();
    fs::write(desk.path("signature"), BASE64_STANDARD.decode(signature).unwrap()).unwrap();
    fs::write(desk.path("right"), message("0.1.0")).unwrap();
    fs::write(desk.path("wrong"), message("0.1.1")).unwrap();
    desk.openssl(&["pkey", "-in", "release.key", "-pubout", "-out", "public.pem"]);
    let verify =
        |message| ["pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin", "-in", message, "-sigfile", "signature"];
    desk.openssl(&verify("right"));
    Program::installed("openssl").folder(desk.0.path()).args(verify("wrong")).run().failed_with(1);
}

#[test]
fn a_key_that_openssl_made_signs() {
    let desk = Desk::empty();
    desk.openssl(&["genpkey", "-algorithm", "ed25519", "-out", "other.key"]);
    desk.sign("other.key", &["redis.wasm"]).succeeded();
    assert!(desk.path("redis.wasm.sig").exists());
}

/// It signs all the same: the operator may know why, as in a container without other users.
#[test]
fn a_key_that_others_may_read_signs_with_a_warning() {
    let desk = Desk::with_key();
    fs::set_permissions(desk.path("release.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let finished = desk.sign("release.key", &["redis.wasm"]).succeeded();
    assert!(finished.stderr.starts_with("warning: other users of this machine may use the private key release.key (mode 0640)"));
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    assert!(desk.path("redis.wasm.sig").exists());
}

#[rstest]
#[case::missing("nothing.key", "the private key nothing.key cannot be read")]
#[case::folder(".", "the private key . cannot be read")]
#[case::public_half("release.key.pub", "release.key.pub is a public key. Name the private one")]
#[case::a_plugin("redis.wasm", "redis.wasm is no private key that signs plugins")]
#[case::of_rsa("rsa.key", "rsa.key is no private key that signs plugins")]
#[case::with_a_passphrase(
    "locked.key",
    "locked.key is no private key that signs plugins: it has to hold one Ed25519 key without a passphrase"
)]
fn a_wrong_key_file_is_named_and_nothing_is_signed(#[case] key: &str, #[case] says: &str) {
    let desk = Desk::with_key();
    match key {
        "rsa.key" => drop(desk.openssl(&["genpkey", "-algorithm", "rsa", "-out", key])),
        "locked.key" => drop(desk.openssl(&["pkey", "-in", "release.key", "-aes256", "-passout", "pass:x", "-out", key])),
        _ => {}
    }
    let finished = desk.sign(key, &["redis.wasm"]).failed_with(1);
    assert!(finished.stderr.starts_with(&format!("error: {says}")), "{finished:?}");
    assert!(finished.stdout.is_empty() && !desk.path("redis.wasm.sig").exists());
}

#[rstest]
#[case::missing(None, "cannot be read")]
#[case::text(Some(&b"hello"[..]), "this is no WebAssembly component")]
#[case::core_module(Some(&b"\0asm\x01\0\0\0"[..]), "core WebAssembly module")]
#[case::native_code(Some(&b"\x7fELF\x02\x01\x01\0"[..]), "native code compiled beforehand")]
fn one_wrong_plugin_and_none_is_signed(#[case] content: Option<&[u8]>, #[case] says: &str) {
    let desk = Desk::with_key();
    if let Some(content) = content {
        fs::write(desk.path("wrong.wasm"), content).unwrap();
    }
    let finished = desk.sign("release.key", &["redis.wasm", "wrong.wasm"]).failed_with(1);
    assert!(finished.stderr.starts_with("error: wrong.wasm is not signed, and nothing else is"), "{finished:?}");
    assert!(finished.stderr.contains(says), "{finished:?}");
    let signatures = |folder: &Path| {
        fs::read_dir(folder).unwrap().filter(|of| of.as_ref().unwrap().path().extension().is_some_and(|of| of == "sig")).count()
    };
    assert_eq!((finished.stdout.as_str(), signatures(desk.0.path())), ("", 0));
}
