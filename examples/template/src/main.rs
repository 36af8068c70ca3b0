//! The server, with things that say when their level is low.

mod thing;

use twinfold::Twinfold;

fn main() -> twinfold::Result<()> {
    Twinfold::builder().behaviour::<thing::Thing>().run()
}
