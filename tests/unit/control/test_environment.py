from deltaforge.control.environment import NOT_FOR_CLIENTS, child_environment


def test_a_pipeline_gets_what_it_needs_and_no_more():
    needed = {
        "PATH": "/bin",
        "HOME": "/h",
        "LC_ALL": "C",
        "TZ": "UTC",
        "SSL_CERT_FILE": "/c",
        "DELTAFORGE_LOG": "debug",
    }
    allowed = {"DELTAFORGE_VAR_PW": "x"}
    kept_back = {"DELTAFORGE_TOKEN": "t", "AWS_SECRET_ACCESS_KEY": "s", "PGPASSWORD": "p", "PGSSLKEY": "k", "X": "y"}
    found = child_environment({**needed, **allowed, **kept_back}, "DELTAFORGE_VAR_")
    assert found == {**needed, **allowed, **NOT_FOR_CLIENTS, "RUST_BACKTRACE": "0"}
