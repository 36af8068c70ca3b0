//! A small campus that several areas stand on: one site, one floor, two rooms.

use crate::support::Server;

pub fn build(server: &Server) {
    server.place("site", "Site", None);
    server.place("floor", "Floor", Some("site"));
    server.place("room-1", "Room", Some("floor"));
    server.place("room-2", "Room", Some("floor"));
}
