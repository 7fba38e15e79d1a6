//! The corpus: every hostile guest, and the one error in which each has to end. This is the only list of them: the tests, one for
//! each row and named like it, are made of it, and so is the table that `tests/run --corpus` prints.

use windlass::event::Step::{Create, Set, Test};

use crate::component::{Broken, Contract};
use crate::row::{Place, Row, Whereabouts, broken, guest, module, module_with};
use crate::service::Manner;

macro_rules! corpus {
    ($($name:ident = $row:expr;)*) => {
        /// All rows, in the order of the table.
        pub fn rows() -> Vec<Row> {
            vec![$(Row { name: stringify!($name), ..$row }),*]
        }

        $(
            #[test]
            fn $name() {
                crate::stage::holds(stringify!($name));
            }
        )*
    };
}

/// What a file in the plugin folder says when it is not loaded.
const NOT_LOADED: &str = "PluginNotLoadable";

corpus! {
    // --- time

    spins_in_its_start_function = module("spins-in-its-start-function").fails(Set, "PluginDeadline", &["its time was up"]);
    spins_in_a_step = guest("spins").fails(Set, "PluginDeadline", &["its time was up", "limits.call_seconds"]);
    calls_host_functions_in_a_loop = guest("calls-the-host-in-a-loop").fails(Set, "PluginDeadline", &["its time was up"]);
    sleeps_in_a_host_function = module("sleeps").fails(Set, "PluginDeadline", &["its time was up"]);
    waits_for_a_silent_service = guest("reads-without-end").at_a(Manner::Silent).fails(Set, "PluginDeadline", &["its time was up"]);
    waits_for_a_slow_loris = guest("reads-without-end").at_a(Manner::SlowLoris).fails(Set, "PluginDeadline", &["its time was up"]);
    waits_for_a_slow_loris_over_http = guest("requests").at_a(Manner::SlowLoris).fails(Set, "PluginDeadline", &["its time was up"]);

    // --- memory, stack, handles

    recurses = guest("recurses").fails(Set, "PluginStopped", &["the plugin's stack overflowed"]);
    eats_one_memory =
        guest("eats-memory").fails(Set, "PluginStopped", &["more than 67108864 bytes of memory", "limits.memory_mib"]);
    eats_many_memories = module("eats-many-memories").fails(Set, "PluginStopped", &["more than 67108864 bytes of memory"]);
    has_too_many_memories =
        module("has-many-memories").fails(Set, "PluginStopped", &["has too many memories", "`limits.core_memories`"]);
    eats_a_table = module("eats-a-table").fails(Set, "PluginStopped", &["more than 67108864 bytes of memory"]);
    hoards_handles = module("hoards-handles").fails(Set, "PluginStopped", &["held too many resources", "`limits.resources`"]);
    keeps_connections_open =
        guest("opens-and-keeps-connections").reaches_the_service().fails(Set, "Denied", &["has 8 connections open"]);
    opens_connections_without_end =
        guest("opens-and-closes-connections").reaches_the_service().fails(Set, "Denied", &["has opened 64 connections"]);

    // --- too much at a time

    hands_over_a_string_of_20_mb = guest("logs-20-mb").fails(Set, "PluginStopped", &["handed over too much data in one call"]);
    returns_a_failure_message_of_20_mb =
        guest("fails-with-20-mb").fails(Set, "PluginStopped", &["handed over too much data in one call"]);
    sends_40000_headers = guest("sends-40000-headers").fails(Set, "PluginStopped", &["handed over too much data in one call"]);
    injects_a_header = guest("injects-a-header").fails(Set, "Denied", &["the value of a header has control characters"]);
    uses_an_absolute_uri = guest("uses-an-absolute-uri").fails(Set, "Denied", &["its path does not start with `/`"]);
    gets_a_response_without_end =
        guest("requests").at_a(Manner::EndlessBody).fails(Set, "Unreachable", &["its body is larger than `limits.http_body_kib`"]);
    gets_40000_headers = guest("requests").at_a(Manner::ManyHeaders).fails(Set, "Unreachable", &["head is too large"]);

    // --- what it says

    logs_without_end =
        guest("logs-without-end").logs(&["the plugin logged too much"]).fails(Set, "PluginDeadline", &["its time was up"]);
    prints_without_end =
        module("prints-without-end").logs(&["the plugin logged too much"]).fails(Set, "PluginDeadline", &["its time was up"]);
    says_its_secret_in_eight_encodings_and_split_in_two_lines = guest("says-its-secret")
        .logs(&["before [redacted] after", "\"[redacted]\""])
        .fails(Set, "PluginInternal", &["internal (unchanged): [redacted]"]);
    prints_its_secret_to_stdout_and_stderr =
        module("prints-its-secret").logs(&["\"[redacted]\""]).fails(Set, "PluginInternal", &["printed it"]);
    panics_with_its_secret = guest("panics").fails(Set, "PluginStopped", &["panicked at", "this guest panics with [redacted]"]);
    keeps_a_credential_past_its_call =
        guest("keeps-a-credential").twice().fails(Set, "PluginInternal", &["kept from before: nothing"]);
    counts_its_calls_in_a_static = guest("counts-its-calls").twice().fails(Set, "PluginInternal", &["this is call 1."]);

    // --- what it asks for

    asks_for_environment_arguments_files_and_the_time =
        module("looks-around").fails(Set, "PluginInternal", &["found nothing but the time"]);
    asks_for_sockets = module("asks-for-sockets").fails(Create, NOT_LOADED, &["wasi:sockets", "sockets are not offered"]);
    reads_another_version_in_its_test = guest("reads-other-versions").fails(Test, "TestProvesNothing", &["corrupted on purpose"]);
    accepts_everything_in_its_test =
        guest("accepts-everything").fails(Test, "TestProvesNothing", &["corrupted on purpose", "not promoted"]);

    // --- where it dials. The first two show that a guest that may dial does.

    dials_its_own_service = guest("dials").reaches_the_service().fails(Test, "TestProvesNothing", &["corrupted on purpose"]);
    dials_its_own_service_over_http =
        guest("dials").opens("service", "http").reaches_the_service().fails(Test, "TestProvesNothing", &["corrupted on purpose"]);
    dials_the_runtime_api =
        guest("dials").opens("service", "http").at(Whereabouts::RuntimeApi).fails(Set, "Denied", &["Runtime API"]);
    dials_the_runtime_api_as_bytes = guest("dials").at(Whereabouts::RuntimeApi).fails(Set, "Denied", &["Runtime API"]);
    dials_metadata = guest("dials").opens("metadata", "http").fails(Set, "Denied", &["`metadata` is not granted"]);
    dials_metadata_that_the_operator_lists = guest("dials")
        .opens("metadata", "http")
        .listed("0.0.0.0/0:80")
        .place(Place::NamespaceOrHere)
        .fails(Set, "Denied", &["169.254.169.254:80 is a link-local address"]);
    dials_metadata_that_the_secret_names =
        guest("dials").at_host("169.254.169.254").place(Place::NamespaceOrHere).fails(Set, "Denied", &["a link-local address"]);
    dials_metadata_over_ipv6 =
        guest("dials").at_host("fd00:ec2::254").place(Place::NamespaceOrHere).fails(Set, "Denied", &["a metadata address"]);
    dials_loopback = guest("dials").at_host("127.0.0.1").fails(Set, "Denied", &["a loopback address"]);
    dials_loopback_by_another_address = guest("dials").at_host("127.0.0.2").fails(Set, "Denied", &["a loopback address"]);
    dials_loopback_over_ipv6 = guest("dials").at_host("::1").fails(Set, "Denied", &["a loopback address"]);
    dials_loopback_as_ipv4_in_ipv6 = guest("dials").at_host("::ffff:127.0.0.1").fails(Set, "Denied", &["a loopback address"]);
    dials_a_name_of_loopback = guest("dials").at_host("localhost").fails(Set, "Denied", &["a loopback address"]);
    dials_another_port_of_its_host =
        guest("dials").opens("neighbour", "http").listed("localhost:{honest}").fails(Set, "Denied", &["`neighbour` is not"]);
    dials_another_host = guest("dials").opens("collector", "connection").fails(Set, "Denied", &["`collector` is not granted"]);
    dials_an_address_that_it_makes_up =
        guest("dials").opens("127.0.0.1:80", "connection").fails(Set, "Denied", &["is not granted"]);
    dials_a_name_of_metadata =
        guest("dials").at_host("metadata.test").place(Place::Namespace).fails(Set, "Denied", &["a link-local address"]);
    dials_a_rebinding_name =
        guest("dials-twice").at_host("rebinding.test").place(Place::Namespace).fails(Set, "Denied", &["a link-local address"]);
    dials_a_name_of_good_and_forbidden_addresses =
        guest("dials").at_host("mixed.test").place(Place::Namespace).fails(Set, "Unreachable", &["mixed.test", "(connect)"]);

    // --- how it ends, and what it is

    traps = module("traps").fails(Set, "PluginStopped", &["the plugin trapped", "out of bounds memory access"]);
    exits = module("exits").fails(Set, "PluginStopped", &["exited with status 0"]);
    lies_about_its_contract_version =
        module_with("does-nothing", Contract::Later).fails(Create, NOT_LOADED, &["built for `windlass:rotation/rotator@0.2.0`"]);
    lies_about_the_types_of_its_contract =
        module_with("does-nothing", Contract::OtherTypes).fails(Create, NOT_LOADED, &["`test-secret` is not of the type"]);
    has_one_of_the_two_steps =
        module_with("has-one-step", Contract::OneStep).fails(Create, NOT_LOADED, &["without the function `test-secret`"]);
    is_an_empty_file = broken(Broken::Empty).fails(Create, NOT_LOADED, &["no WebAssembly component"]);
    is_a_core_module = broken(Broken::CoreModule).fails(Create, NOT_LOADED, &["core WebAssembly module"]);
    is_native_code = broken(Broken::NativeCode).fails(Create, NOT_LOADED, &["native code"]);
    is_truncated = broken(Broken::Truncated).fails(Create, NOT_LOADED, &["damaged"]);
    has_a_flipped_bit_in_its_frame = broken(Broken::FlippedOutside).fails(Create, NOT_LOADED, &["damaged"]);
    has_a_flipped_bit_in_its_code = broken(Broken::FlippedInside).fails(Create, NOT_LOADED, &["does not compile"]);
}
