//! What others build on, item by item: a change of it is seen in tests/public_api.txt, and belongs into CHANGELOG.md.
//!
//! `WGFLOW_WRITE_API=1 cargo test --test public_api` writes the list anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, File, ImplItem, Item, TraitItem, UseTree, Visibility};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> File {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Not a part of what others see: hidden from the documentation, or only in tests.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.to_token_stream().to_string();
        text.contains("hidden") || text == "# [cfg (test)]"
    })
}

/// One line of source.
fn shown(item: &impl ToTokens) -> String {
    let mut text = item.to_token_stream().to_string();
    for (loose, tight) in [
        (" :: ", "::"),
        (" < ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" ,", ","),
        (" :", ":"),
        ("( ", "("),
        (" )", ")"),
        (" (", "("),
    ] {
        text = text.replace(loose, tight);
    }
    text
}

/// A module, and what of it others see.
struct Module {
    /// Under this path.
    path: String,
    /// The folder of the modules in it.
    folder: PathBuf,
    file: PathBuf,
    /// Where it is private: the names that the module above it exports.
    exported: Option<BTreeSet<String>>,
}

/// The names at the leaves of a `use`.
fn leaves(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, names),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Rename(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
        UseTree::Glob(_) => panic!("a `pub use` of everything exports what nobody wrote down"),
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn collect(module: &Module, found: &mut BTreeSet<String>) {
    let (here, items) = (&module.path, read(&module.file).items);
    let mut exports = module.exported.clone().unwrap_or_default();
    for item in &items {
        if let Item::Use(it) = item
            && is_public(&it.vis)
            && !is_hidden(&it.attrs)
        {
            leaves(&it.tree, &mut exports);
        }
    }
    let sees = |name: &str| module.exported.as_ref().is_none_or(|exported| exported.contains(name));
    let mut add = |name: &str, text: String| {
        if sees(name) {
            found.insert(format!("{here}: {text}"));
        }
    };
    let mut modules = Vec::new();
    for item in items {
        match item {
            Item::Use(it) if is_public(&it.vis) && !is_hidden(&it.attrs) && module.exported.is_none() => {
                add("", format!("use {}", shown(&it.tree)));
            }
            Item::Fn(it) if is_public(&it.vis) => add(&it.sig.ident.to_string(), shown(&it.sig)),
            Item::Const(it) if is_public(&it.vis) => {
                add(&it.ident.to_string(), format!("const {}: {}", it.ident, shown(&it.ty)));
            }
            Item::Type(it) if is_public(&it.vis) => {
                add(&it.ident.to_string(), format!("type {} = {}", it.ident, shown(&it.ty)));
            }
            Item::Struct(it) if is_public(&it.vis) => {
                let name = it.ident.to_string();
                add(&name, format!("struct {name}"));
                for (index, field) in it.fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis)) {
                    let field_name = field.ident.as_ref().map_or(index.to_string(), ToString::to_string);
                    add(&name, format!("{name}.{field_name}: {}", shown(&field.ty)));
                }
            }
            Item::Enum(it) if is_public(&it.vis) => {
                for variant in &it.variants {
                    let types: Vec<_> = variant.fields.iter().map(|field| shown(&field.ty)).collect();
                    let fields = if types.is_empty() { String::new() } else { format!("({})", types.join(", ")) };
                    add(&it.ident.to_string(), format!("enum {}::{}{fields}", it.ident, variant.ident));
                }
            }
            Item::Trait(it) if is_public(&it.vis) => {
                let name = it.ident.to_string();
                for method in &it.items {
                    if let TraitItem::Fn(method) = method {
                        let given = if method.default.is_some() { " { .. }" } else { "" };
                        add(&name, format!("trait {name}::{}{given}", shown(&method.sig)));
                    }
                }
            }
            Item::Impl(it) if it.trait_.is_none() => {
                let of = shown(&it.self_ty);
                let name = of.split('<').next().unwrap_or_default().to_owned();
                for method in &it.items {
                    match method {
                        ImplItem::Fn(method) if is_public(&method.vis) && !is_hidden(&method.attrs) => {
                            add(&name, format!("{of}::{}", shown(&method.sig)));
                        }
                        ImplItem::Const(constant) if is_public(&constant.vis) => {
                            add(&name, format!("{of}::const {}", constant.ident));
                        }
                        _ => {}
                    }
                }
            }
            Item::Mod(it) if it.content.is_none() && !is_hidden(&it.attrs) => {
                let name = it.ident.to_string();
                let folder = module.folder.join(&name);
                let (flat, deep) = (module.folder.join(format!("{name}.rs")), folder.join("mod.rs"));
                let file = if flat.exists() { flat } else { deep };
                let inner = match (&module.exported, is_public(&it.vis)) {
                    (None, true) => Module { path: format!("{here}::{name}"), folder, file, exported: None },
                    _ => Module { path: here.clone(), folder, file, exported: Some(exports.clone()) },
                };
                modules.push(inner);
            }
            _ => {}
        }
    }
    modules.iter().for_each(|module| collect(module, found));
}

#[test]
fn what_others_build_on_is_what_is_written_down() {
    let file = root().join("src/lib.rs");
    let mut found = BTreeSet::new();
    collect(&Module { path: "wgflow".into(), folder: root().join("src"), file, exported: None }, &mut found);
    assert!(found.len() > 100 && found.iter().any(|item| item.contains("trait Target")), "{}", found.len());
    let list = root().join("tests/public_api.txt");
    if std::env::var_os("WGFLOW_WRITE_API").is_some() {
        let text: String = found.iter().map(|item| format!("{item}\n")).collect();
        std::fs::write(&list, text).expect("tests/ can be written to");
    }
    let text = std::fs::read_to_string(&list).expect("tests/public_api.txt is there");
    let written: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let (new, gone): (Vec<_>, Vec<_>) = (found.difference(&written).collect(), written.difference(&found).collect());
    assert!(
        new.is_empty() && gone.is_empty(),
        "new: {new:#?}\ngone: {gone:#?}\nIf that is meant: WGFLOW_WRITE_API=1 cargo test --test public_api, and a line in \
         CHANGELOG.md"
    );
}
