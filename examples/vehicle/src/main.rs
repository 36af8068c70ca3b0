//! `cargo run -p vehicle -- serve`: the server, with vehicles that know their trips and fences.

use twinfold::Twinfold;
use vehicle::Vehicle;

fn main() -> twinfold::Result<()> {
    Twinfold::builder().behaviour::<Vehicle>().run()
}
