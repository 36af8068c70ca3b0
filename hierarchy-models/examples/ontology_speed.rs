//! How long it takes to read an ontology: `cargo run --release -p hierarchy-models --example ontology_speed FILE`.

use std::{env, error::Error, fs, time::Instant};

use hierarchy_models::{
    dtdl::{self, Json, UndefinedExtensions},
    model::Catalogue,
};

/// Each step is repeated this often; the least time of each is told.
const ROUNDS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("name a file with Interfaces")?;
    let text = fs::read_to_string(&path)?;
    let text = text.trim_start_matches('\u{feff}');
    let mut least = [f64::MAX; 3];
    let mut figures = (0, 0);
    for _ in 0..ROUNDS {
        let mut began = Instant::now();
        let mut lap = |n: usize| {
            least[n] = least[n].min(began.elapsed().as_secs_f64() * 1e3);
            began = Instant::now();
        };
        let json: Json = serde_json::from_str(text)?;
        lap(0);
        let ontology = dtdl::check([&json], UndefinedExtensions::Refuse)?;
        lap(1);
        let catalogue = Catalogue::of(&ontology);
        lap(2);
        figures = (catalogue.len(), ontology.elements.list.len());
    }
    let (models, elements) = figures;
    let [parse, check, flatten] = least;
    println!("{models} Interfaces, {elements} elements: JSON {parse:.1} ms, rules {check:.1} ms, inheritance {flatten:.1} ms");
    Ok(())
}
