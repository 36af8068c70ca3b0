//! `model check`: whether model documents are valid, without a server.
//!
//! Each file is judged by itself, and gets from the other files, and from the models that come with the program, only the
//! Interfaces that it refers to. So a folder of unrelated models can be checked in one call, and a set that belongs together too.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use hierarchy_models::{
    dtdl::{self, Fault, Json, UndefinedExtensions},
    model::BUILT_INS,
};

use super::{Failure, serve};
use crate::{client::table::clean, config::undefined_extensions};

/// Bytes of one file at most.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Subcommand)]
pub enum ModelAction {
    /// Say of each file whether its models are valid
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// What becomes of models that name language extensions which are not known here: allow or refuse
    #[arg(long, default_value = "refuse", value_parser = undefined_extensions)]
    undefined_extensions: UndefinedExtensions,
    /// Model documents, as JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl ModelAction {
    pub fn run(self) -> Result<(), Failure> {
        let Self::Check(CheckArgs { undefined_extensions, files }) = self;
        let files: Vec<_> = files.into_iter().map(|path| (read(&path), path)).collect();
        let documents: Vec<&Json> = files.iter().filter_map(|(read, _)| read.as_ref().ok()).collect();
        let built_in: Vec<Json> = BUILT_INS.iter().filter_map(|b| serde_json::from_str(b.document).ok()).collect();
        let others = Others::of(&documents, &built_in);
        let mut all_valid = true;
        for (read, path) in &files {
            let verdict =
                read.as_ref().map_err(Clone::clone).and_then(|json| check(json, &others, undefined_extensions).map_err(|f| f.to_string()));
            let shown = path.display();
            let line = match &verdict {
                Ok(()) => format!("valid {shown}\n"),
                Err(why) => format!("invalid {shown}: {}\n", clean(why)),
            };
            all_valid &= verdict.is_ok();
            serve::to_stdout(&line)?;
        }
        if all_valid { Ok(()) } else { Err(Failure::InvalidModels) }
    }
}

fn read(path: &Path) -> Result<Json, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let bytes = fs::metadata(path).map_err(unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("has {bytes} bytes; at most {FILE_BYTES_MAX} are read"));
    }
    let text = fs::read(path).map_err(unreadable)?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    serde_json::from_slice(text).map_err(|error| format!("is not JSON that can be taken: {error}"))
}

/// Which Interfaces the documents define at their top level.
struct Others<'a> {
    defined: HashMap<&'a str, Vec<&'a Json>>,
}

impl<'a> Others<'a> {
    fn of(documents: &[&'a Json], built_in: &'a [Json]) -> Self {
        let mut defined: HashMap<&'a str, Vec<&'a Json>> = HashMap::new();
        for top in documents.iter().flat_map(|document| document.included()).chain(built_in) {
            if let Some(id) = top.member("@id").and_then(Json::as_text) {
                defined.entry(id.as_str()).or_default().push(top);
            }
        }
        Self { defined }
    }

    /// The Interface of this identifier, when no two differ.
    fn find(&self, id: &str) -> Option<&'a Json> {
        match self.defined.get(id)?.as_slice() {
            [first, rest @ ..] if rest.iter().all(|other| other.same_as(first)) => Some(*first),
            _ => None,
        }
    }
}

/// Checks a document together with as many of the others as it needs.
fn check(document: &Json, others: &Others<'_>, undefined: UndefinedExtensions) -> Result<(), Fault> {
    let mut needed: Vec<&Json> = Vec::new();
    let mut asked: Vec<String> = Vec::new();
    loop {
        let all = std::iter::once(document).chain(needed.iter().copied());
        let fault = match dtdl::check(all, undefined) {
            Ok(_) => return Ok(()),
            Err(fault) => fault,
        };
        let new: Vec<String> = fault.missing.iter().map(ToString::to_string).filter(|id| !asked.contains(id)).collect();
        let before = needed.len();
        for id in new {
            needed.extend(others.find(&id).filter(|found| !needed.iter().any(|known| std::ptr::eq(*known, *found))));
            asked.push(id);
        }
        if needed.len() == before {
            return Err(fault);
        }
    }
}
