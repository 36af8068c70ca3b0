//! `cargo run -p pump -- serve`: the server, with pumps that ask for maintenance before they fail.

use pump::Pump;
use twinfold::Twinfold;

fn main() -> twinfold::Result<()> {
    Twinfold::builder().behaviour::<Pump>().run()
}
