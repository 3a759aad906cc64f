import socket

from local_cloud import ports


def test_a_port_of_the_last_start_is_kept_while_it_is_free():
    wanted = ports.choose(None, set())

    assert ports.choose(wanted, set()) == wanted


def test_another_port_is_chosen_when_a_program_listens_on_the_wanted_one():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        wanted = listening.getsockname()[1]

        assert ports.choose(wanted, set()) != wanted


def test_no_port_is_given_twice():
    first = ports.choose(None, set())

    assert ports.choose(first, {first}) != first
