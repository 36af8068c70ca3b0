//! Where metrics are gathered, and the bounds between which their histograms count.
//!
//! A name says its unit by its end, and the unit says the bounds, so a new histogram needs nothing here. Lost: the exporter's default, a
//! sketch of the last minute for each series, which takes time and memory of every series, used or not, and cannot be added up over servers.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// From a commit to a fast disk to a request that waits for a device.
const SECONDS: [f64; 14] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// Up to all turns that one frame takes.
const TURNS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
const BYTES: [f64; 8] = [256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

/// One recorder a process, however many servers a test starts in it.
pub fn installed() -> Result<PrometheusHandle, String> {
    static RECORDER: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    let install = || builder().and_then(PrometheusBuilder::install_recorder).map_err(|error| error.to_string());
    RECORDER.get_or_init(install).clone()
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let end = |unit: &str| Matcher::Suffix(unit.to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(end("_seconds"), &SECONDS)?
        .set_buckets_for_metric(end("_turns"), &TURNS)?
        .set_buckets_for_metric(end("_bytes"), &BYTES)
}

#[cfg(test)]
mod tests {
    use metrics::with_local_recorder;

    use super::*;

    #[test]
    fn a_histogram_counts_between_the_bounds_of_its_unit() {
        let recorder = builder().unwrap().build_recorder();
        with_local_recorder(&recorder, || {
            metrics::histogram!("x_commit_seconds").record(0.000_2);
            metrics::histogram!("x_frame_turns").record(3.0);
            metrics::histogram!("x_frame_bytes").record(300.0);
        });
        let text = recorder.handle().render();
        for line in [
            "# TYPE x_commit_seconds histogram",
            "x_commit_seconds_bucket{le=\"0.0001\"} 0",
            "x_commit_seconds_bucket{le=\"0.00025\"} 1",
            "x_frame_turns_bucket{le=\"2\"} 0",
            "x_frame_turns_bucket{le=\"4\"} 1",
            "x_frame_bytes_bucket{le=\"256\"} 0",
            "x_frame_bytes_bucket{le=\"1024\"} 1",
            "x_frame_bytes_count 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
