//! `cargo run -p vehicle -- serve`: the server, with vehicles that know their trips and fences.

use vehicle::Vehicle;
use twinfold::Twinfold;

fn main() -> twinfold::Result<()> {
    Twinfold::builder().behaviour::<Vehicle>().run()
}
