"""What a scenario's header shows of the settings, and what it does not."""

import msgspec

from protocol.settings import Settings
from protocol.settings_secrets import HIDDEN, without_secrets

SECRET = "hunter2"
TREE = {
    "ssh": {"hostkeys": ["key_file", f"-----BEGIN PRIVATE KEY-----{SECRET}"], "banner": "hello"},
    "auth": {
        "users": {"alice": {"authorizedKeys": [f"ssh-ed25519 AAAA {SECRET}"], "passwordHash": SECRET}},
        "authz": {"method": "webhook", "webhook": {"url": SECRET, "key": SECRET, "bearerToken": SECRET}},
    },
    "docker": {
        "connection": {"host": "tcp://h:1", "cacert": "CA", "cert": "CERT", "key": SECRET},
        "execution": {
            "auth": {"username": SECRET, "password": SECRET},
            "container": {"Image": "debian:12", "Env": [f"A={SECRET}", "B="], "Labels": {"a": "b"}, "Cmd": ["x"]},
            "host": {
                "LogConfig": {"Type": "splunk", "Config": {"splunk-token": SECRET}},
                "Mounts": [{"Type": "volume", "VolumeOptions": {"DriverConfig": {"Options": {"o": SECRET}}}}],
                "Memory": 5,
                "NewThing": {"AccessToken": [SECRET], "Env": "shown", "Options": ["shown"]},
            },
            "network": {"EndpointsConfig": {"n": {"DriverOpts": {"x": SECRET}, "Aliases": ["a"]}}},
        },
    },
}


def test_secrets_are_hidden_and_the_rest_is_there() -> None:
    tree = without_secrets(msgspec.convert(TREE, Settings))
    assert SECRET not in msgspec.json.encode(tree).decode()
    assert tree["auth"]["users"] == {"alice": HIDDEN}
    assert tree["auth"]["authz"] == HIDDEN
    assert tree["auth"]["failures"] == {"max": 20, "period": 60.0}
    assert tree["ssh"]["hostkeys"] == ["key_file", HIDDEN]
    assert tree["ssh"]["banner"] == "hello"
    execution = tree["docker"]["execution"]
    assert execution["container"]["Env"] == [f"A={HIDDEN}", f"B={HIDDEN}"]
    assert execution["container"]["Labels"] == {"a": "b"}
    assert execution["host"]["LogConfig"] == {"Type": "splunk", "Config": {"splunk-token": HIDDEN}}
    assert execution["host"]["NewThing"] == {"AccessToken": [HIDDEN], "Env": "shown", "Options": ["shown"]}
    assert execution["host"]["Memory"] == 5
    assert execution["auth"]["password"] == HIDDEN


def test_what_is_empty_stays_empty() -> None:
    tree = without_secrets(Settings())
    expected = msgspec.to_builtins(Settings())
    assert msgspec.json.encode(tree) == msgspec.json.encode(expected)


def test_a_name_alone_in_env_stays() -> None:
    tree = {"docker": {"execution": {"container": {"Image": "x", "Env": ["PATH"]}}}}
    shown = without_secrets(msgspec.convert(tree, Settings))
    assert shown["docker"]["execution"]["container"]["Env"] == ["PATH"]


def test_what_a_type_calls_a_secret_is_hidden_in_every_section() -> None:
    tree = without_secrets(
        msgspec.convert(
            {
                "configserver": {"url": f"https://robot:{SECRET}@host/x?a@b", "key": SECRET, "cert": "CERT"},
                "metrics": {"key": SECRET},
                "health": {"client": {"key": SECRET, "url": "http://127.0.0.1:7000/"}},
                "audit": {"s3": {"secretKey": SECRET, "accessKey": SECRET, "bucket": "b"}},
                "dockerrun": {
                    "key": SECRET,
                    "host": f"tcp://robot:{SECRET}@h:1",
                    "config": {"container": {"Image": "x", "Env": [f"A={SECRET}"]}},
                },
                "security": {"forceCommand": "x", "env": {"allow": ["A"]}},
            },
            Settings,
        )
    )
    assert SECRET not in msgspec.json.encode(tree).decode()
    assert tree["configserver"]["url"] == f"https://{HIDDEN}@host/x?a@b"
    assert tree["configserver"]["cert"] == "CERT"
    assert tree["health"]["client"] == {**tree["health"]["client"], "key": HIDDEN, "url": "http://127.0.0.1:7000/"}
    assert tree["audit"]["s3"]["bucket"] == "b"
    assert tree["dockerrun"]["config"]["container"]["Env"] == [f"A={HIDDEN}"]
    assert tree["security"]["env"]["allow"] == ("A",)
