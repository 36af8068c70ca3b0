//! The server, with freezers that say when their food thaws.

mod freezer;

use twinfold::Twinfold;

fn main() -> twinfold::Result<()> {
    Twinfold::builder().behaviour::<freezer::Freezer>().run()
}
