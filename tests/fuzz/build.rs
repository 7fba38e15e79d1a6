//! Makes components of the texts in `seeds` and puts them where fuzzing starts: the repository holds no binaries.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=seeds");
    for entry in std::fs::read_dir("seeds")? {
        let text = entry?.path();
        let wasm = wat::parse_file(&text)?;
        for target in ["component", "load"] {
            let folder = Path::new("corpus").join(target);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(text.file_name().ok_or("a file has a name")?).with_extension("wasm"), &wasm)?;
        }
    }
    Ok(())
}
