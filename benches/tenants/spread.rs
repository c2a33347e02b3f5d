//! How evenly requests lie in a span of time.

/// Prints the busiest second against the mean, and tenths of the span.
pub fn tell(times: &[f64], span: f64) {
    let mut seconds = vec![0_usize; span.ceil() as usize + 1];
    let mut tenths = [0_usize; 10];
    for at in times {
        seconds[*at as usize] += 1;
        tenths[((at / span * 10.0) as usize).min(9)] += 1;
    }
    let mean = times.len() as f64 / span;
    let busiest = seconds.iter().max().copied().unwrap_or_default();
    let idle = seconds.iter().filter(|count| **count == 0).count();
    println!(
        "  requests a second: {mean:.1} in the mean, {busiest} in the busiest ({:.1} times the mean), {idle} s without any",
        busiest as f64 / mean
    );
    let shares: Vec<String> = tenths.iter().map(|count| format!("{:.0}", *count as f64 * 100.0 / times.len().max(1) as f64)).collect();
    println!("  % of them in each tenth of the span: {}", shares.join(" "));
}
