//! The routes, the edge around them and what they work with, put together. Tests use it as the server does.

use actix_web::{
    App,
    body::BoxBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{self, Data},
};
use actors::Twins;
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_actix_web::{AppExt, scope};

use crate::{access, documents::Documents, edge, fallback, replay::Replays, routes, settings::Settings, stopping::Stopping};

/// What the routes work with; one for all workers.
#[derive(Clone)]
pub struct Parts {
    pub twins: Data<Twins>,
    pub settings: Data<Settings>,
    pub metrics: Data<PrometheusHandle>,
    pub replays: Data<Replays>,
    pub stopping: Data<Stopping>,
}

impl Parts {
    pub fn new(twins: Twins, settings: Settings, metrics: PrometheusHandle, stopping: Stopping) -> Self {
        Self {
            twins: Data::new(twins),
            replays: Data::new(Replays::new(settings.replays_max, settings.replay_for)),
            settings: Data::new(settings),
            metrics: Data::new(metrics),
            stopping: Data::new(stopping),
        }
    }
}

pub fn app(
    parts: Parts,
) -> App<impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = actix_web::Error, InitError = ()>> {
    App::new()
        .app_data(parts.twins)
        .app_data(parts.settings)
        .app_data(parts.metrics)
        .app_data(parts.replays)
        .app_data(parts.stopping)
        .app_data(Documents::default())
        .into_utoipa_app()
        .service(scope::scope("/api/v1").configure(routes::keyed).wrap(from_fn(access::authenticate)))
        .configure(routes::open)
        .into_app()
        .configure(routes::undescribed)
        .default_service(web::to(fallback::answer))
        .wrap(from_fn(edge::pass))
}
