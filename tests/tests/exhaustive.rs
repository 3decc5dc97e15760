//! Everything there is, in spaces that are small enough: the parser and the
//! decision against the oracle, the prefix table against a search through all
//! prefixes.
//!
//! The two largest take `cargo test --release --test exhaustive -- --ignored`.

use poolguard_tests::exhaustive::{chains, common, cuts, ipv4, ipv6, link, ports, prefixes};

#[test]
fn ethertypes() {
    link::every_ethertype();
}

#[test]
fn tag_control_information() {
    link::every_tag_control();
}

#[test]
fn ppp_protocols() {
    link::every_ppp_protocol();
}

#[test]
fn ppp_headers() {
    link::every_ppp_header();
}

#[test]
fn pppoe_headers() {
    link::every_session_header();
}

#[test]
fn ip_versions() {
    link::every_version();
}

#[test]
fn ipv4_headers() {
    ipv4::every_header();
}

#[test]
fn ipv4_fragments() {
    ipv4::every_fragment();
}

#[test]
fn ipv4_fragments_of_every_protocol() {
    ipv4::every_fragment_of_every_protocol();
}

#[test]
fn ipv4_total_lengths() {
    ipv4::every_total_length();
}

#[test]
fn ipv4_lengths_and_frames() {
    ipv4::every_disagreement_on_lengths();
}

#[test]
fn ipv6_headers() {
    ipv6::every_header();
}

#[test]
fn ipv6_payload_lengths() {
    ipv6::every_payload_length();
}

#[test]
fn ipv6_payload_lengths_of_every_next_header() {
    ipv6::every_payload_length_of_every_next_header();
}

#[test]
fn ipv6_lengths_and_frames() {
    ipv6::every_disagreement_on_lengths();
}

#[test]
fn ipv6_next_headers() {
    chains::every_next_header();
}

#[test]
fn ipv4_next_headers() {
    chains::every_next_header_in_ipv4();
}

#[test]
fn extension_headers_at_their_edges() {
    chains::every_length_at_its_edges();
}

#[test]
fn sequences_of_extension_headers() {
    chains::every_sequence();
}

#[test]
#[ignore = "33,554,432 frames: half a minute"]
fn sequences_of_eight_extension_headers() {
    chains::every_sequence_of_eight();
}

#[test]
fn ipv6_fragments() {
    chains::every_fragment();
}

#[test]
fn frames_cut_anywhere() {
    cuts::every_length_of_every_shape();
}

#[test]
fn common_frames() {
    common::every_length();
}

#[test]
fn destination_ports() {
    ports::every_destination_port();
}

#[test]
fn source_ports() {
    ports::every_source_port();
}

#[test]
fn ports_of_answers() {
    ports::every_port_of_an_answer();
}

#[test]
fn beginnings_of_sources() {
    ports::every_beginning_of_a_source();
}

#[test]
fn tcp_flags() {
    ports::every_tcp_flag();
}

#[test]
fn pairs_of_hosts() {
    ports::every_pair_of_hosts();
}

#[test]
fn sets_of_prefixes() {
    prefixes::every_set_in_two_bits();
}

#[test]
fn sets_of_prefixes_at_the_seams() {
    prefixes::every_set_in_three_bits();
}

#[test]
fn pairs_of_prefixes() {
    prefixes::every_pair_of_lengths();
}

#[test]
#[ignore = "4,294,967,296 addresses: half a minute"]
fn ipv4_addresses() {
    prefixes::every_ipv4_address();
}
