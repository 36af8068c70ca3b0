//! Bare actix-web: every GET is answered with the same twin, as a server answered it. The floor of a read.

use std::net::{Ipv4Addr, TcpListener};

use actix_web::{App, HttpResponse, HttpServer, http::header::ContentType, web};
use load_floors::say_ready;

/// The product's `http.workers`.
const WORKERS: usize = 2;
/// A device of the scenario `reads`, with ten values, as `GET /api/v1/twins/{id}` answers it.
const TWIN: &str = include_str!("twin.json");

async fn twin() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(TWIN)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    let server = HttpServer::new(|| App::new().default_service(web::to(twin))).workers(WORKERS).listen(listener)?.run();
    say_ready("http", at);
    server.await
}
