//! `cargo run -p thermostat -- serve`: the server, with thermostats and rooms that see to it that nobody sweats.

use thermostat::{Room, Thermostat};
use twinfold::Twinfold;

fn main() -> twinfold::Result<()> {
    Twinfold::builder().behaviour::<Thermostat>().behaviour::<Room>().run()
}
