//! What the page's script is given as data.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::format::time;
use super::gathered::Gathered;
use super::persons::{Link, Person};
use super::pictures::Told;
use crate::matching::Grade;

/// The lists that the script shows: persons, photos of photos, and the pictures of both by number.
pub(super) fn lists(gathered: &Gathered, review_below: f64) -> (Value, Value, Value) {
    let Gathered { persons, night, pictures, zone, .. } = gathered;
    let mut encoded: Vec<String> = Vec::new();
    // A number; null for a row without pictures; -1 for a picture that cannot be shown.
    let mut number = |told: Option<&Told>| match told {
        None => Value::Null,
        Some(Told { picture: None, .. }) => json!(-1),
        Some(Told { picture: Some(picture), .. }) => {
            encoded.push(STANDARD.encode(&picture.jpeg));
            json!(encoded.len() - 1)
        }
    };
    let mut rank = 0u64;
    let mut listed = Vec::with_capacity(persons.listed.len());
    for (at, person) in persons.listed.iter().enumerate() {
        let told = |member: usize| pictures.as_ref().and_then(|p| p.members.get(at)?.get(member)?.as_ref());
        let members: Vec<Value> = person
            .members
            .iter()
            .enumerate()
            .map(|(place, member)| {
                let told = told(place);
                json!({
                    "s": member.submission, "k": member.worker, "d": member.district, "o": member.original,
                    "t": member.at.map(|at| time(at, zone)), "v": member.tonight.as_ref().map(|t| t.verdict.code()),
                    "p": number(told), "m": told.and_then(|t| t.mobile.as_ref()), "e": told.and_then(|t| t.epic.as_ref()),
                })
            })
            .collect();
        let link = |link: &Link| {
            let (a, b) = link.sides;
            json!([a.min(b), a.max(b), grade_of(link), link.evidence, link.decision])
        };
        rank += u64::from(!person.id.is_empty());
        listed.push(json!({
            "r": if person.id.is_empty() { None } else { Some(rank) }, "i": person.id, "w": person.worth,
            "f": person_grade(person), "x": person.cross_district, "n": person.size, "m": members,
            "l": person.links.iter().map(link).collect::<Vec<_>>(), "a": person.all_links,
        }));
    }
    let spoofs: Vec<Value> = night
        .spoofs
        .iter()
        .enumerate()
        .map(|(at, spoof)| {
            let told = pictures.as_ref().and_then(|p| p.spoofs.get(at));
            let faces = spoof.faces.iter().map(|face| {
                let [left, top, width, height] = face.bbox.map(|x| x.round());
                json!([left, top, width, height, face.role, face.liveness])
            });
            let size = told.and_then(|t| t.picture.as_ref()).map(|p| [p.selfie.0, p.selfie.1]);
            json!({
                "s": spoof.submission, "k": spoof.worker, "d": spoof.district, "v": spoof.verdict.code(),
                "p": number(told), "z": size, "f": faces.collect::<Vec<_>>(),
            })
        })
        .collect();
    (Value::Array(listed), json!({ "limit": review_below, "list": spoofs }), json!(encoded))
}

/// A pair's grade, as the page's texts name it.
fn grade_of(link: &Link) -> &str {
    link.grade.as_deref().unwrap_or("none")
}

/// A person's grade: the review queue's, and of a pair that belongs to no person the pair's.
fn person_grade(person: &Person) -> Option<&str> {
    match &person.links[..] {
        [only] if person.id.is_empty() => Some(grade_of(only)),
        _ => person.probability_false.map(|doubt| Grade::of_local_error(doubt).map_or("none", Grade::code)),
    }
}
