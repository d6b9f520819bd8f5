//! The files of this repository.

use std::fs;
use std::path::{Path, PathBuf};

use crate::source::File;

/// Larger files are data; no test of the house reads them.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The directory of the workspace.
pub fn root() -> PathBuf {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    house.ancestors().nth(2).expect("the house lies two levels below the root").to_path_buf()
}

/// Every text file of the workspace, by its path from the root, in order. Build output and hidden
/// directories other than `.ci` are left out.
pub fn files() -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the workspace").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if name != "target" && (name == ".ci" || !name.starts_with('.')) {
                    directories.push(path);
                }
            } else if name != ".git"
                && kind.is_file()
                && entry.metadata().is_ok_and(|data| data.len() <= FILE_BYTES_MAX)
            {
                let Ok(text) = fs::read_to_string(&path) else { continue };
                let path = path.strip_prefix(&root).expect("a path below the root");
                found.push(File { path: path.to_string_lossy().into_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}
