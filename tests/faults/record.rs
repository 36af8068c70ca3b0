//! What the load did, written down as it happened: the only thing beside HTTP that the checker reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

/// A file of lines `what device number microseconds`; cheap to clone.
#[derive(Clone)]
pub struct Record {
    file: Arc<Mutex<fs::File>>,
    path: PathBuf,
}

/// The file, read back.
#[derive(Debug, Default)]
pub struct Recorded {
    /// By device: numbers of records that went out, and of those that were acknowledged.
    pub sent: BTreeMap<String, BTreeSet<u64>>,
    pub acknowledged: BTreeMap<String, BTreeSet<u64>>,
    /// By device: numbers of commands that the server accepted.
    pub accepted: BTreeMap<String, BTreeSet<u64>>,
}

impl Record {
    pub fn create(folder: &Path) -> Self {
        let path = folder.join("record.txt");
        Self { file: Arc::new(Mutex::new(fs::File::create(&path).unwrap())), path }
    }

    pub fn sent(&self, device: &str, number: u64) {
        self.line("sent", device, number);
    }

    pub fn acknowledged(&self, device: &str, number: u64) {
        self.line("acknowledged", device, number);
    }

    pub fn accepted(&self, device: &str, number: u64) {
        self.line("accepted", device, number);
    }

    #[allow(clippy::disallowed_methods)] // The load's own clock, for whoever reads the file after a failure.
    fn line(&self, what: &str, device: &str, number: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let line = format!("{what} {device} {number} {now}\n");
        self.file.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }

    pub fn read(&self) -> Recorded {
        let mut recorded = Recorded::default();
        let text = fs::read_to_string(&self.path).unwrap();
        // Somebody may be at the last line just now.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let lists = match words[0] {
                "sent" => &mut recorded.sent,
                "acknowledged" => &mut recorded.acknowledged,
                _ => &mut recorded.accepted,
            };
            lists.entry(words[1].to_owned()).or_default().insert(words[2].parse().unwrap());
        }
        recorded
    }
}
