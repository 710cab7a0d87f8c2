"""The tests that check each promise about reliability and hostile input; a name that is not a test fails here.

| promise | checked by |
|---|---|
| power cut at any moment | crash/test_cuts.py::test_a_thousand_cuts_with_torn_sectors, crash/test_cuts.py::test_a_broken_store_is_caught |
| back within 5 s | journeys/test_promises_crash.py::test_killed_while_receiving, runtime/test_data_directory.py::test_a_killed_holder_leaves_no_lock |
| 500 connections, 100 slow | journeys/test_promises_crowd.py::test_five_hundred_connections |
| one message, command, session: 5 s, 48 MiB | journeys/test_promises_hostile.py::test_mime_bombs_are_stored_unchanged, network/test_listener.py::test_a_fault_ends_its_own_session_only |
| literals before login, announced sizes | journeys/test_promises_hostile.py::test_literals_before_login, journeys/test_promises_hostile.py::test_four_gib_are_refused_before_the_continuation |
| storage full | journeys/test_storage_full.py::test_storage_full |
| logging never stops the server | journeys/test_promises_access.py::test_the_log_never_stops_the_server |
| password guessing | journeys/test_promises_access.py::test_guessing_is_slow_and_the_owner_is_not_locked_out, accounts/test_throttle.py::test_ten_a_minute_from_one_source_over_many_names |
| account enumeration | journeys/test_promises_access.py::test_replies_do_not_reveal_accounts, journeys/test_promises_access.py::test_login_times_do_not_reveal_accounts |
| no real-time clock | runtime/test_clock.py::test_trust_is_won_later_and_kept, certificates/test_certificates.py::test_a_clock_in_1970_makes_what_is_valid_today |
| secrets readable by the service only | runtime/test_data_directory.py::test_made_private_and_locked_once, certificates/test_certificates.py::test_keys_are_private_and_nothing_half_written_stays |
| SMTP smuggling | journeys/test_promises_access.py::test_smtp_smuggling, protocol/smtp/test_data.py::test_only_crlf_dot_crlf_ends |
| STARTTLS injection | journeys/test_promises_hostile.py::test_commands_pipelined_with_starttls_are_not_executed, smtpd/test_tls.py::test_starttls_forgets_everything |
| TLS downgrade | network/test_tls.py::test_old_tls_is_refused |
| open relay | smtpd/test_relay.py::test_every_form_from_every_sender, journeys/test_promises_access.py::test_open_relay |
| forged own addresses | smtpd/test_session.py::test_unauthenticated_clients_with_our_addresses, smtpd/test_session.py::test_allowed_authors |
| backscatter, loops | accounts/test_directory.py::test_unknown_and_not_local, smtpd/test_session.py::test_guessing_recipients_ends_an_unauthenticated_session, smtpd/test_session.py::test_hops_headers_and_lines |
| header bombs | journeys/test_promises_hostile.py::test_excessive_headers_are_refused |
| MIME bombs | journeys/test_promises_hostile.py::test_mime_bombs_are_stored_unchanged |
| IMAP nesting and literals | journeys/test_promises_hostile.py::test_deeply_nested_commands |
| mailbox names | journeys/test_promises_hostile.py::test_mailbox_names_give_no_access_to_other_accounts |
| slow and many clients | journeys/test_promises_crowd.py::test_slow_senders, journeys/test_promises_crowd.py::test_clients_that_never_read |
| pipelining without reading | journeys/test_promises_crowd.py::test_pipelining_clients_that_read_no_responses |
| the write-ahead log does not grow | journeys/test_promises_crowd.py::test_a_client_that_stops_reading_does_not_grow_the_wal |
| endless lines | journeys/test_promises_hostile.py::test_endless_lines |
| killed in DATA and APPEND | journeys/test_promises_crash.py::test_killed_during_a_message |
| clean shutdown | journeys/test_promises_crash.py::test_sigterm_finishes_the_message_in_progress |
| out of file descriptors | journeys/test_promises_crowd.py::test_out_of_file_descriptors |
| a crashed component is restarted | runtime/test_supervisor.py::test_a_crash_is_started_again_with_growing_pauses |
| fuzz | journeys/test_promises_hostile.py::test_random_octets_on_every_port, fuzz/test_ports.py::test_hostile_octets_on_every_port |

Not covered yet: compression bombs, which this server does not support so far.
"""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_every_promise_has_tests() -> None:
    rows = [line for line in (__doc__ or "").splitlines() if line.startswith("|")][2:]
    assert len(rows) > 25
    for row in rows:
        promise, named = (cell.strip() for cell in row.strip("|").split("|"))
        for name in named.split(", "):
            file, _, test = name.partition("::")
            path = TESTS / file
            assert path.is_file(), f"{promise}: {file} does not exist"
            assert re.search(rf"^(?:async )?def {test}\(", path.read_text(), re.MULTILINE), f"{promise}: {name} is not a test"
