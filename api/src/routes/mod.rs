//! Every route, one file for each thing it is about. A route reads its request, asks the runtime, writes the answer.

mod alerts;
mod audit;
mod bulk;
mod claims;
mod commands;
mod credentials;
mod enrolments;
mod events;
mod governing;
mod grants;
mod history;
mod jobs;
mod lifecycle;
mod listing;
mod live;
mod login;
mod models;
mod pages;
mod patch;
mod path;
mod principals;
mod probes;
mod register;
mod roles;
mod rollups;
mod rule_body;
mod rules;
mod tree;
mod twin;

use actix_web::HttpResponse;
use actors::view::TwinView;
use utoipa_actix_web::service_config::ServiceConfig;

pub use pages::undescribed;

use crate::{documents::Document, problem::Problem};

/// The routes under `/api/v1`: all of them need a key.
pub fn keyed(routes: &mut ServiceConfig) {
    routes.service(login::login).service(login::logout);
    // Before the twins themselves, one of which could have such a name. A path with a place in it costs every request behind it two
    // allocations: none stands before the reading of a twin.
    routes.service(bulk::import).service(bulk::export);
    routes.service(listing::list).service(register::register);
    routes.service(twin::read).service(patch::patch).service(twin::delete);
    routes.service(jobs::list).service(jobs::read).service(jobs::delete);
    routes.service(lifecycle::activate).service(lifecycle::deactivate).service(lifecycle::release);
    routes.service(rollups::read).service(rollups::put).service(rollups::delete);
    routes.service(credentials::read).service(credentials::change).service(credentials::reset).service(credentials::token);
    routes.service(claims::create).service(claims::claim);
    routes.service(enrolments::list).service(enrolments::read).service(enrolments::put).service(enrolments::delete);
    routes.service(tree::read).service(history::history).service(events::events);
    routes.service(live::live);
    routes.service(commands::send).service(commands::list).service(commands::read).service(commands::cancel);
    routes.service(models::list).service(models::read).service(models::put).service(models::delete);
    routes.service(alerts::list).service(alerts::read).service(alerts::acknowledge).service(alerts::clear);
    routes.service(rules::test).service(rules::list).service(rules::create).service(rules::read).service(rules::change);
    routes.service(rules::delete);
    routes.service(principals::list).service(principals::create).service(principals::read).service(principals::delete);
    routes.service(grants::list).service(grants::create).service(grants::read).service(grants::delete);
    routes.service(audit::list);
    routes.service(roles::list).service(roles::read).service(roles::put).service(roles::delete);
}

/// The routes that need no key on loopback, and the document that describes all routes.
pub fn open(routes: &mut ServiceConfig) {
    routes.service(probes::livez).service(probes::readyz).service(probes::metrics).service(pages::openapi_json);
}

/// The whole twin with its entity tag.
fn whole(view: &TwinView) -> Result<HttpResponse, Problem> {
    Ok(Document::of(view)?.answer())
}
