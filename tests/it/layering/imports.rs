//! Which file of `src` uses which, read from the syntax.
//!
//! - A file uses the file in which a name that it mentions is *defined*: in an import, a type, an expression or the
//!   arguments of a macro. Imports of whole modules say nothing yet; the paths that go through them do.
//! - Re-exports are followed to the definition and are no use themselves, and neither is `mod child;`. So a `mod.rs` that
//!   only lists its children uses nothing; one with types of its own that also calls its children is in a circle with a
//!   child that uses those types.
//! - What is compiled for tests only (`#[cfg(test)]`) may look anywhere.
//! - Methods are not resolved: a file that calls a method has imported the type from somewhere, or got it as an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, UseTree, Visibility};

/// One module, in a file of its own or inline.
struct Module {
    file: usize,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    definitions: BTreeSet<String>,
    /// Local name to the path that was imported under it.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Whether macros may have defined names here that the syntax does not show.
    has_macros: bool,
    /// The paths that this module mentions, but for its re-exports.
    mentions: BTreeSet<Vec<String>>,
}

/// How far a path has been followed.
#[derive(Clone, Copy)]
struct Step {
    /// Imports and re-exports so far.
    imports: usize,
    /// Whether a module has been named: what follows is a name of it, not a local variable or an outer crate.
    inside: bool,
}

enum Target {
    Module,
    Item(usize),
}

/// A crate's modules and files.
pub struct Imports {
    modules: Vec<Module>,
    /// Relative to `src`, with `/` between the parts.
    pub files: Vec<String>,
    /// From file to file, each with one path that says so.
    pub edges: BTreeMap<(usize, usize), String>,
    /// Paths into the crate that were not understood: file and path.
    pub unknown: Vec<(usize, String)>,
}

impl Imports {
    /// All files that `lib.rs` in `src` leads to.
    pub fn read(src: &Path) -> Imports {
        let mut imports =
            Imports { modules: Vec::new(), files: Vec::new(), edges: BTreeMap::new(), unknown: Vec::new() };
        imports.read_file(src, Path::new("lib.rs"), src.to_owned(), None);
        imports.resolve_all();
        imports
    }

    /// Groups of files each of which reaches all others of its group, each group sorted by name.
    pub fn circles(&self) -> Vec<Vec<usize>> {
        let mut next = vec![Vec::new(); self.files.len()];
        self.edges.keys().for_each(|&(from, to)| next[from].push(to));
        let reach: Vec<Vec<bool>> = (0..next.len()).map(|start| reached(&next, start)).collect();
        let mut circles: Vec<Vec<usize>> = Vec::new();
        for (file, reached) in reach.iter().enumerate() {
            if circles.iter().flatten().any(|&known| known == file) {
                continue;
            }
            let mut circle: Vec<usize> =
                (0..next.len()).filter(|&other| reached[other] && reach[other][file]).collect();
            if circle.len() > 1 {
                circle.sort_by_key(|&file| &self.files[file]);
                circles.push(circle);
            }
        }
        circles
    }

    fn read_file(&mut self, src: &Path, relative: &Path, children_in: PathBuf, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(src.join(relative)).unwrap();
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", relative.display()));
        let file = self.files.len();
        self.files.push(relative.to_str().unwrap().replace('\\', "/"));
        self.read_items(src, &parsed.items, file, children_in, parent)
    }

    fn read_items(
        &mut self,
        src: &Path,
        items: &[Item],
        file: usize,
        children_in: PathBuf,
        parent: Option<usize>,
    ) -> usize {
        let here = self.modules.len();
        self.modules.push(Module {
            file,
            parent,
            children: BTreeMap::new(),
            definitions: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
            has_macros: items.iter().any(|item| matches!(item, Item::Macro(item) if item.ident.is_none())),
            mentions: BTreeSet::new(),
        });
        for item in items.iter().filter(|item| !attributes(item).iter().any(is_test)) {
            if let Item::Mod(module) = item {
                let name = module.ident.to_string();
                let folder = children_in.join(&name);
                let child = match &module.content {
                    Some((_, items)) => self.read_items(src, items, file, folder, Some(here)),
                    None => {
                        let beside = children_in.join(format!("{name}.rs"));
                        let path = if beside.exists() { beside } else { folder.join("mod.rs") };
                        let relative = path.strip_prefix(src).unwrap().to_owned();
                        self.read_file(src, &relative, folder, Some(here))
                    }
                };
                self.modules[here].children.insert(name, child);
                continue;
            }
            let module = &mut self.modules[here];
            module.definitions.extend(defined(item).map(Ident::to_string));
            Reader { module }.visit_item(item);
        }
        here
    }

    fn resolve_all(&mut self) {
        for here in 0..self.modules.len() {
            let file = self.modules[here].file;
            for path in self.modules[here].mentions.clone() {
                let anchored = path.len() > 1 && ["crate", "self", "super"].contains(&path[0].as_str());
                match self.resolve(here, &path, Step { imports: 0, inside: false }) {
                    Some(Target::Item(other)) if other != file => {
                        self.edges.entry((file, other)).or_insert_with(|| path.join("::"));
                    }
                    None if anchored => self.unknown.push((file, path.join("::"))),
                    _ => {}
                }
            }
        }
    }

    /// What a path that is written in a module means; `None` outside of this crate.
    fn resolve(&self, module: usize, path: &[String], step: Step) -> Option<Target> {
        // Names that import each other under one name would go round for ever.
        if step.imports > 16 {
            return None;
        }
        let Some((first, rest)) = path.split_first() else { return Some(Target::Module) };
        let here = &self.modules[module];
        let within = Step { inside: true, ..step };
        match first.as_str() {
            "crate" => self.resolve(0, rest, within),
            "self" => self.resolve(module, rest, within),
            "super" => self.resolve(here.parent?, rest, within),
            name if here.children.contains_key(name) => self.resolve(here.children[name], rest, within),
            name if here.definitions.contains(name) => Some(Target::Item(here.file)),
            name => {
                let imported = here.imports.get(name).map(|base| (base, rest));
                let globs = here.globs.iter().map(|base| (base, path));
                let known = imported.into_iter().chain(globs).filter(|(base, _)| base[0] != *first);
                let mut found = known.map(|(base, rest)| {
                    let whole: Vec<String> = base.iter().chain(rest).cloned().collect();
                    self.resolve(module, &whole, Step { imports: step.imports + 1, inside: false })
                });
                let by_macro = || (here.has_macros && step.inside).then_some(Target::Item(here.file));
                found.find_map(|target| target).or_else(by_macro)
            }
        }
    }
}

/// What can be reached from a file in one step or more.
fn reached(next: &[Vec<usize>], start: usize) -> Vec<bool> {
    let (mut seen, mut open) = (vec![false; next.len()], vec![start]);
    while let Some(file) = open.pop() {
        for &other in &next[file] {
            if !std::mem::replace(&mut seen[other], true) {
                open.push(other);
            }
        }
    }
    seen
}

/// Collects imports and mentioned paths of one module.
struct Reader<'a> {
    module: &'a mut Module,
}

impl Reader<'_> {
    fn import(&mut self, tree: &UseTree, prefix: Vec<String>, again: bool) {
        match tree {
            UseTree::Path(path) => {
                let longer = prefix.into_iter().chain([path.ident.to_string()]).collect();
                self.import(&path.tree, longer, again);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, prefix.clone(), again));
            }
            UseTree::Glob(_) => self.module.globs.push(prefix),
            UseTree::Name(name) => self.import_name(prefix, &name.ident, &name.ident, again),
            UseTree::Rename(rename) => self.import_name(prefix, &rename.ident, &rename.rename, again),
        }
    }

    fn import_name(&mut self, mut path: Vec<String>, name: &Ident, local: &Ident, again: bool) {
        let mut local = local.to_string();
        if name == "self" {
            if local == "self" {
                local = path.last().unwrap().clone();
            }
        } else {
            path.push(name.to_string());
        }
        if !again {
            self.module.mentions.insert(path.clone());
        }
        self.module.imports.insert(local, path);
    }

    /// Names with `::` between them among the tokens of a macro's arguments.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut joined) = (Vec::new(), false);
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if !joined {
                        self.mention(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    (joined, colons) = (false, 0);
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    colons += 1;
                    joined = colons == 2;
                }
                other => {
                    self.mention(std::mem::take(&mut path));
                    (joined, colons) = (false, 0);
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.mention(path);
    }

    fn mention(&mut self, path: Vec<String>) {
        if !path.is_empty() {
            self.module.mentions.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, Vec::new(), !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.mention(path.segments.iter().map(|part| part.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !item.attrs.iter().any(is_test) {
            visit::visit_impl_item_fn(self, item);
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, or `cfg(all(test, ..))`; not `cfg(not(test))`.
fn is_test(attribute: &Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    if !attribute.path().is_ident("cfg") {
        return false;
    }
    let text = list.tokens.to_string();
    text == "test" || text.replace(' ', "").starts_with("all(test,")
}

/// The name that an item defines in its module.
fn defined(item: &Item) -> Option<&Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}
