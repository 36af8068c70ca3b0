//! Who may give and take what: nobody hands out, or takes away, more than they have themselves.
//!
//! A grant is seen by who has the right to principals where it lies, and governed by who has every right of its role there too. Else an
//! administrator of people could make itself one of machines, or shut out who may do more.

use actors::{Twins, access::Grant};
use hierarchy_models::{
    TwinId,
    access::{Extent, Right, Rights},
};

use crate::{
    access::{Caller, needs},
    problem::{self, Problem},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Hidden,
    Seen,
    Governed,
}

fn standing(own: Rights, role: Rights) -> Standing {
    match own {
        own if !own.has(Right::Principals) => Standing::Hidden,
        own if own.includes(role) => Standing::Governed,
        _ => Standing::Seen,
    }
}

/// The least of what the caller is to these grants. To none at all: governed by who has the right everywhere, hidden from others.
pub async fn of_all<'a>(
    caller: &Caller<needs::Principals>,
    twins: &Twins,
    grants: impl IntoIterator<Item = &'a Grant>,
) -> Result<Standing, Problem> {
    let mut least = None;
    for grant in grants {
        let own = caller.rights_over(twins, grant.under.as_ref()).await?;
        let here = standing(own, twins.access().rights_of(&grant.role));
        least = Some(least.map_or(here, |least: Standing| least.min(here)));
    }
    Ok(least.unwrap_or(if caller.extent() == Extent::Everywhere { Standing::Governed } else { Standing::Hidden }))
}

/// That the caller may give this role there. `pointer` leads to the member that names the place.
pub async fn may_grant(
    caller: &Caller<needs::Principals>,
    twins: &Twins,
    role: &str,
    under: Option<&TwinId>,
    pointer: &str,
) -> Result<(), Problem> {
    match under {
        None => caller.everywhere().map_err(|problem| problem.pointing_at(pointer))?,
        Some(under) => caller.reach_existing(twins, under).await.map_err(|problem| match problem.kind() {
            problem::NO_SUCH_TWIN => Problem::new(problem::NO_SUCH_SCOPE, format!("there is no twin {under}")).pointing_at(pointer),
            _ => problem.pointing_at(pointer),
        })?,
    }
    if twins.access().role(role).is_err() {
        // One that is just being made is not given before what it holds is known.
        return Err(actors::TwinError::UnknownRole { role: role.into(), pointer: "/role".into() }.into());
    }
    let missing = twins.access().rights_of(role).without(caller.rights_over(twins, under).await?);
    if missing.is_empty() { Ok(()) } else { Err(beyond(missing)) }
}

/// That the caller has these rights everywhere itself.
pub fn may_define(caller: &Caller<needs::Principals>, rights: Rights) -> Result<(), Problem> {
    caller.everywhere()?;
    let missing = rights.without(caller.subject.granted.everywhere());
    if missing.is_empty() { Ok(()) } else { Err(beyond(missing)) }
}

fn beyond(missing: Rights) -> Problem {
    Problem::new(problem::FORBIDDEN, format!("nobody hands out more than they have: you lack {missing}"))
}

/// Where a caller means who names no place: the one place it governs, when it is confined to one.
pub fn default_place(caller: &Caller<needs::Principals>) -> Option<TwinId> {
    match caller.extent() {
        Extent::Under(tops) if tops.len() == 1 => tops.into_iter().next(),
        _ => None,
    }
}
