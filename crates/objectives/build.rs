//! Lists the methods that can be chosen by name.
//!
//! Every `pub mod x;` of a family's `mod.rs` whose file holds a `pub const METHOD: Method` becomes a line of the
//! family's table, so that adding a method is one file and one line and there is no registry to keep.

use std::{env, fs, path::Path};

const FAMILIES: [&str; 6] = ["advantage", "listwise", "pairwise", "rollout", "rollout/surrogate", "unpaired"];

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    for name in FAMILIES {
        let family = Path::new("src").join(name);
        println!("cargo::rerun-if-changed={}", family.display());
        let Ok(modules) = fs::read_to_string(family.join("mod.rs")) else { continue };
        let mut table = String::from("&[\n");
        for line in modules.lines() {
            let Some(module) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) else { continue };
            if family.join(module).is_dir() {
                continue;
            }
            let file = fs::read_to_string(family.join(format!("{module}.rs"))).expect("a declared module has its file");
            if file.contains("pub const METHOD: Method") {
                table += &format!("    {module}::METHOD,\n");
            }
        }
        table += "]\n";
        fs::write(Path::new(&out).join(format!("{}_methods.rs", name.replace('/', "_"))), table)
            .expect("OUT_DIR is writable");
    }
}
