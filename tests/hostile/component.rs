//! Files for the plugin folder that no SDK makes: components of the modules in `tests/guests/wat`, and broken ones.

use std::path::{Path, PathBuf};

use wasm_encoder::Encode;
use windlass::manifest::SECTION;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What a component says its contract is.
#[derive(Clone, Copy)]
pub enum Contract {
    /// What it is.
    True,
    /// One of a later release.
    Later,
    /// This one, whose test-secret fails with a string.
    OtherTypes,
    /// This one, which has only set-secret.
    OneStep,
}

impl Contract {
    fn edit(self, text: &str) -> String {
        match self {
            Self::True => text.to_owned(),
            // The contract is the only package of this version here.
            Self::Later => text.replace("@0.1.0", "@0.2.0"),
            Self::OtherTypes => text.replace("result<verdict, failure>", "result<verdict, string>"),
            Self::OneStep => text.replace("test-secret: func() -> result<verdict, failure>;", ""),
        }
    }
}

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn texts(path: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder(path)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.display().to_string(), std::fs::read_to_string(&file).unwrap())).collect()
}

/// The component of a module in `tests/guests/wat`, whose manifest gives it the name `plugin`.
pub fn of_module(module: &str, plugin: &str, contract: Contract) -> Vec<u8> {
    let file = folder("tests/guests/wat").join(format!("{module}.wat"));
    let text = contract.edit(&std::fs::read_to_string(&file).unwrap());
    let edited = tempfile::tempdir().unwrap();
    for (name, text) in texts("wit").into_iter().filter(|(name, _)| name.ends_with(".wit")) {
        std::fs::write(edited.path().join(Path::new(&name).file_name().unwrap()), contract.edit(&text)).unwrap();
    }
    let mut resolve = Resolve::default();
    resolve.push_dir(edited.path()).unwrap();
    // In the order in which they use each other.
    let mut guest = None;
    for name in ["io", "cli", "clocks", "filesystem", "sockets", "guest"] {
        let file = folder("tests/guests/wat/wit").join(name).with_extension("wit");
        guest = Some(resolve.push_str(&file, &contract.edit(&std::fs::read_to_string(&file).unwrap())).unwrap());
    }
    let world = resolve.select_world(guest.as_slice(), Some("guest")).unwrap();
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder.module(&module).unwrap();
    let mut component = encoder.encode().unwrap_or_else(|error| panic!("{}: {error:#}", file.display()));
    let manifest = format!("name = \"{plugin}\"\nversion = \"1\"\n");
    component.push(0);
    wasm_encoder::CustomSection { name: SECTION.into(), data: manifest.as_bytes().into() }.encode(&mut component);
    component
}

/// What is wrong with a file.
#[derive(Clone, Copy)]
pub enum Broken {
    /// It has no bytes.
    Empty,
    /// It is a module, not a component.
    CoreModule,
    /// It is native code, such as an ahead-of-time compiler makes.
    NativeCode,
    /// Its second half is missing.
    Truncated,
    /// A bit of the magic number of the module inside is flipped.
    FlippedOutside,
    /// A bit of an instruction is flipped.
    FlippedInside,
}

impl Broken {
    /// The file for the plugin of this name.
    pub fn file(self, plugin: &str) -> Vec<u8> {
        let mut whole = of_module("does-nothing", plugin, Contract::True);
        // `i32.const 16` and `end`: all that a step does.
        let instruction = [0x41, 0x10, 0x0b];
        match self {
            Self::Empty => Vec::new(),
            Self::CoreModule => b"\0asm\x01\0\0\0".to_vec(),
            Self::NativeCode => b"\x7fELF\x02\x01\x01\0".to_vec(),
            Self::Truncated => {
                whole.truncate(whole.len() / 2);
                whole
            }
            Self::FlippedOutside => {
                let inside = 1 + whole[1..].windows(4).position(|bytes| bytes == b"\0asm").unwrap();
                whole[inside] ^= 1;
                whole
            }
            Self::FlippedInside => {
                let at = whole.windows(3).position(|bytes| bytes == instruction).unwrap();
                // To a `block` without an end.
                whole[at] = 0x40;
                whole
            }
        }
    }
}
