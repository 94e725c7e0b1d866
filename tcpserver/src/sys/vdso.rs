//! The pages that the kernel keeps the time in.

use std::fs;

/// Children that are made from now on have no part in the pages from which the vDSO reads the time (`[vvar]`): a fork
/// copies the page tables of such pages, two of them, whether the child reads the clock or not. They must ask the kernel
/// ([`super::now_by_call`]); by libc's clock_gettime they die.
pub fn keep_time_pages() {
    // Without /proc nothing is gained, and nothing lost.
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for line in maps.lines().filter(|line| line.ends_with("[vvar]") || line.ends_with("[vvar_vclock]")) {
        let range = line.split_whitespace().next().and_then(|range| range.split_once('-'));
        let address = |text: &str| usize::from_str_radix(text, 16);
        let Some((Ok(start), Ok(end))) = range.map(|(start, end)| (address(start), address(end))) else { continue };
        // SAFETY: the flag says what a fork does with the mapping, and leaves it as it is in this process. In a child,
        // where it is missing, no value of ours lies in it.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTFORK) };
    }
}
