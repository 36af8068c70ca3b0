//! `cargo run -p door-lock -- serve`: the server, with door locks that never open late.

use door_lock::DoorLock;
use twinfold::Twinfold;

fn main() -> twinfold::Result<()> {
    Twinfold::builder().behaviour::<DoorLock>().run()
}
