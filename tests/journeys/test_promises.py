"""Which test keeps which promise about reliability and hostile input; a name that is no test fails here.

| promise | kept by |
|---|---|
| power cut at any moment | crash/test_cuts.py::test_a_thousand_cuts_with_torn_sectors, crash/test_cuts.py::test_a_broken_store_is_caught |
| back within 5 s | journeys/test_promises_crash.py::test_killed_while_letters_come_in, system/test_data_directory.py::test_a_killed_holder_leaves_no_lock |
| 500 connections, 100 slow | journeys/test_promises_crowd.py::test_five_hundred_at_once |
| one message, command, session: 5 s, 48 MiB | journeys/test_promises_hostile.py::test_bombs_are_kept_whole, network/test_listener.py::test_a_fault_ends_its_own_session_only |
| literals before login, oversize announced | journeys/test_promises_hostile.py::test_literals_before_login, journeys/test_promises_hostile.py::test_four_gib_are_refused_before_they_are_asked_for |
| full card | journeys/test_full_card.py::test_a_full_card |
| logging never stops the server | journeys/test_promises_people.py::test_the_journal_never_stops_the_house |
| guessing | journeys/test_promises_people.py::test_guessing_is_slow_and_the_owner_is_not_locked_out, accounts/test_throttle.py::test_ten_a_minute_from_one_source_over_many_names |
| known and unknown alike | journeys/test_promises_people.py::test_words_do_not_tell_people_apart, journeys/test_promises_people.py::test_times_do_not_tell_people_apart |
| no clock chip | system/test_clock.py::test_trust_is_won_later_and_kept, system/test_certificates.py::test_a_clock_in_1970_makes_what_is_valid_today |
| secrets readable by the service alone | system/test_data_directory.py::test_made_private_and_locked_once, system/test_certificates.py::test_keys_are_private_and_nothing_half_written_stays |
| SMTP smuggling | journeys/test_promises_people.py::test_what_a_smuggler_sends_is_one_letter, protocol/smtp/test_data.py::test_only_crlf_dot_crlf_ends |
| STARTTLS injection | journeys/test_promises_hostile.py::test_what_comes_with_starttls_is_no_command_inside_it, smtpd/test_tls.py::test_starttls_forgets_everything |
| TLS downgrade | network/test_tls.py::test_old_tls_is_refused |
| open relay | smtpd/test_relay.py::test_every_form_from_every_sender, journeys/test_promises_people.py::test_nobody_relays |
| forged own users | smtpd/test_session.py::test_strangers_with_our_names, smtpd/test_session.py::test_who_may_be_from |
| backscatter, loops | accounts/test_directory.py::test_unknown_and_not_local, smtpd/test_session.py::test_guessing_recipients_ends_a_strangers_session, smtpd/test_session.py::test_hops_headers_and_lines |
| header bombs | journeys/test_promises_hostile.py::test_too_much_of_a_header_is_refused |
| MIME bombs | journeys/test_promises_hostile.py::test_bombs_are_kept_whole |
| IMAP braces and literals | journeys/test_promises_hostile.py::test_braces_and_depth |
| names | journeys/test_promises_hostile.py::test_names_reach_nothing_of_others |
| slow and many | journeys/test_promises_crowd.py::test_slow_senders_of_letters, journeys/test_promises_crowd.py::test_clients_that_never_read |
| commands nobody reads the answers of | journeys/test_promises_crowd.py::test_pipelined_commands_nobody_reads_the_answers_of |
| the log keeps its first size | journeys/test_promises_crowd.py::test_a_client_that_stops_reading_does_not_hold_the_log |
| endless lines | journeys/test_promises_hostile.py::test_endless_lines |
| killed in DATA and APPEND | journeys/test_promises_crash.py::test_killed_in_the_middle_of_one_letter |
| stopped in order | journeys/test_promises_crash.py::test_stopped_in_order |
| no descriptors | journeys/test_promises_crowd.py::test_out_of_descriptors |
| a crashed part is started again | system/test_supervisor.py::test_a_crash_is_started_again_with_growing_pauses |
| fuzz | journeys/test_promises_hostile.py::test_random_octets_on_every_port, fuzz/test_ports.py::test_hostile_octets_on_every_port |

Not here yet: compression bombs, DNS and the queue, which this server does not speak so far.
"""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_every_promise_has_its_tests() -> None:
    rows = [line for line in (__doc__ or "").splitlines() if line.startswith("|")][2:]
    assert len(rows) > 25
    for row in rows:
        promise, named = (cell.strip() for cell in row.strip("|").split("|"))
        for name in named.split(", "):
            file, _, test = name.partition("::")
            path = TESTS / file
            assert path.is_file(), f"{promise}: {file} is not there"
            assert re.search(rf"^(?:async )?def {test}\(", path.read_text(), re.MULTILINE), f"{promise}: {name} is no test"
