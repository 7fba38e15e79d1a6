//! How large things are.

use std::fs;

use crate::function::deployed;
use crate::plugins;
use crate::report::Report;
use crate::support::built;
use crate::support::process::Program;

const KIB: f64 = 1024.0;
const MB: f64 = 1e6;

pub fn measure(report: &mut Report) {
    for name in ["bootstrap", "windlass-compile"] {
        report.value(format!("{name}: size"), "MB", fs::metadata(deployed(name)).unwrap().len() as f64 / MB, None);
    }
    for name in ["redis", "rabbitmq"] {
        let bytes = fs::metadata(built::plugin(name)).unwrap().len() as f64;
        report.value(format!("plugin {name}: size of the component"), "KiB", bytes / KIB, Some(40.0));
    }
    let folder = tempfile::tempdir().unwrap();
    // Eight in all; those whose manifests alone differ would be compressed away only if a zip looked across its files.
    for (name, wasm) in (0..7).map(|number| (plugins::name(number), plugins::named(&plugins::name(number)))) {
        fs::write(folder.path().join(format!("{name}.wasm")), wasm).unwrap();
    }
    fs::copy(built::plugin("rabbitmq"), folder.path().join("rabbitmq.wasm")).unwrap();
    let compiler = deployed("windlass-compile");
    let hardened: &[&str] = &[];
    for (what, more, budget) in [
        ("zip with eight plugins, without the compiler", hardened, 6.0),
        ("zip with eight plugins, with the compiler", &["--compiler", compiler.to_str().unwrap()], 14.0),
    ] {
        let packaged = Program::windlass()
            .folder(folder.path())
            .args(["package", "--json", "--plugins", "."])
            .arg("--bootstrap")
            .arg(deployed("bootstrap"))
            .args(more)
            .timeout(std::time::Duration::from_secs(300))
            .run()
            .succeeded()
            .json();
        report.value(what, "MB", packaged["bytes"].as_u64().unwrap() as f64 / MB, Some(budget));
    }
}
