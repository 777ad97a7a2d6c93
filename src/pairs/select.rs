//! Which members of a gallery are compared: those of one model that a filter lets pass.

use std::collections::BTreeSet;

use crate::gallery::{Filter, Gallery};
use crate::infer::ModelId;
use crate::{Error, Result};

/// The members of a gallery that are to be compared: those of one model that a filter lets pass.
///
/// # Errors
/// [`Error::Usage`] when nobody is left, or when the gallery has several models and none is named: templates of two
/// models are never compared.
pub fn select(gallery: &Gallery, model: Option<&str>, filter: &Filter<'_>) -> Result<Gallery> {
    let models = gallery.models();
    let list = || {
        let each = |(model, rows): &(&ModelId, usize)| format!("{} ({rows} members)", model.0);
        models.iter().map(each).collect::<Vec<_>>().join(", ")
    };
    let chosen = match (model, models.as_slice()) {
        (_, []) => return Err(Error::usage("--store", "the store holds no members", "audit a dump into it first")),
        (None, [(only, _)]) => *only,
        (None, _) => return Err(Error::usage("--model", "templates of several models, never compared", list())),
        (Some(name), _) => match models.iter().find(|(model, _)| model.0 == name) {
            Some((model, _)) => *model,
            None => return Err(Error::usage("--model", format!("no member has a template of '{name}'"), list())),
        },
    };
    let some = gallery.only(chosen, filter);
    if some.is_empty() {
        let fix = format!("districts in the store: {}", districts(gallery));
        return Err(Error::usage("--only-district, --not-…", "no member is left to compare", fix));
    }
    Ok(some)
}

/// The names of a gallery's first districts.
fn districts(gallery: &Gallery) -> String {
    const SHOWN: usize = 20;
    let names: BTreeSet<&str> = gallery.iter().map(|(_, row)| row.district).collect();
    let shown: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    shown.join(", ") + &more
}
