"""The rows of the connection machine. What they do and ask stands in `connection`."""

from fsm import connection as do
from fsm.connection import CLOSE, FAREWELL, GRACE, ConnectionCell
from fsm.kernel import Kind, Row
from protocol import codes
from protocol.base import DeadlinePassed
from protocol.connection import (
    Authenticated,
    AuthFailed,
    CloseWanted,
    ConnectionOpened,
    Disconnected,
    DrainWanted,
    LimitNears,
    LimitPassed,
    RequestRefused,
    SessionEnded,
    SessionOpened,
    ShimFailed,
    TerminateWanted,
)
from protocol.connection import ConnectionState as S
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded, ContainerProgressed

DEADLINES = {GRACE: (S.HANDSHAKING,), FAREWELL: (S.STRANDED,), CLOSE: (S.CLOSING,)}

CONNECTED, DISCONNECTED = codes.SSH_CONNECTED, codes.SSH_DISCONNECTED
NO_LOGIN, LATE = codes.SSH_HANDSHAKE_FAILED, codes.MOORAGE_LOGIN_GRACE
NO, YES = codes.SSH_AUTH_FAILED, (codes.SSH_AUTH_SUCCESSFUL, codes.SSH_HANDSHAKE_SUCCESSFUL)
REJECTED, DIED = codes.SSH_BACKEND_REJECTED_HANDSHAKE, codes.MOORAGE_CONTAINER_DIED
REFUSED = codes.SSH_NEW_CHANNEL_REJECTED
FORWARD, REVERSE, ENOUGH = (codes.SECURITY_FORWARDING_REJECTED, codes.SECURITY_REVERSE_FORWARDING_REJECTED,
                            codes.SECURITY_MAX_SESSIONS)  # fmt: skip
CRASHED = codes.MOORAGE_CONNECTION_CRASHED
NOT_YOURS, UNSETTLED = codes.MOORAGE_TEMPLATE_REFUSED, codes.BACKEND_CONFIG_ERROR
STRANGER, SILENT = codes.MOORAGE_NOT_SSH, codes.MOORAGE_CLIENT_SILENT
ENDING = codes.MOORAGE_TERMINATING
CONNECTIONS, CONTAINERS = codes.MOORAGE_LIMIT_CONNECTIONS, codes.MOORAGE_LIMIT_CONTAINERS
SESSIONS, LOGINS = codes.MOORAGE_LIMIT_SESSIONS, codes.MOORAGE_LIMIT_LOGIN_RATE

# fmt: off
ROWS = (
    #   id        in state       on                   to             do              when                   says
    Row("CN0102", S.NEW,         ConnectionOpened,    S.CLOSING,     do.turn_away,   do.address_has_enough, (CONNECTED, CONNECTIONS)),
    Row("CN0101", S.NEW,         ConnectionOpened,    S.HANDSHAKING, do.note,        None,                  (CONNECTED,)),

    Row("CN0201", S.HANDSHAKING, AuthFailed,          None,          None,           None,                  (NO,)),
    Row("CN0211", S.HANDSHAKING, Authenticated,       S.STRANDED,    do.strand,      do.may_not_choose,     (*YES, NOT_YOURS, REJECTED)),
    Row("CN0212", S.HANDSHAKING, Authenticated,       S.STRANDED,    do.strand,      do.has_no_settings,    (*YES, UNSETTLED, REJECTED)),
    Row("CN0213", S.HANDSHAKING, Authenticated,       S.STRANDED,    do.crowd_out,   do.enough_connections, (*YES, CONNECTIONS)),
    Row("CN0214", S.HANDSHAKING, Authenticated,       S.STRANDED,    do.crowd_out,   do.enough_containers,  (*YES, CONTAINERS)),
    Row("CN0215", S.HANDSHAKING, Authenticated,       S.STRANDED,    do.crowd_out,   do.enough_logins,      (*YES, LOGINS)),
    Row("CN0202", S.HANDSHAKING, Authenticated,       S.LANDING,     do.land,        do.mode_is_connection, YES),
    Row("CN0203", S.HANDSHAKING, Authenticated,       S.SERVING,     do.serve,       None,                  YES),
    Row("CN0204", S.HANDSHAKING, DeadlinePassed,      S.CLOSING,     do.close,       None,                  (LATE, NO_LOGIN), GRACE),
    Row("CN0216", S.HANDSHAKING, Disconnected,        S.CLOSED,      None,           do.spoke_no_ssh,       (STRANGER, NO_LOGIN, DISCONNECTED)),
    Row("CN0205", S.HANDSHAKING, Disconnected,        S.CLOSED,      None,           None,                  (NO_LOGIN, DISCONNECTED)),
    Row("CN0206", S.HANDSHAKING, RequestRefused,      None,          None,           None,                  (REFUSED,)),
    Row("CN0207", S.HANDSHAKING, ShimFailed,          S.CLOSING,     do.close,       None,                  (CRASHED,)),
    Row("CN0208", S.HANDSHAKING, DrainWanted,         S.CLOSING,     do.close),
    Row("CN0209", S.HANDSHAKING, TerminateWanted,     S.CLOSING,     do.close),
    Row("CN0210", S.HANDSHAKING, CloseWanted,         S.CLOSING,     do.close),

    Row("CN0313", S.LANDING,     ContainerLanded,     S.CLOSING,     do.close,       do.drains_for_nobody),
    Row("CN0301", S.LANDING,     ContainerLanded,     S.DRAINING,    do.landed,      do.drain_is_wanted),
    Row("CN0302", S.LANDING,     ContainerLanded,     S.SERVING,     do.landed),
    Row("CN0303", S.LANDING,     ContainerFailed,     S.STRANDED,    do.failed,      None,                  (REJECTED,)),
    Row("CN0304", S.LANDING,     ContainerProgressed, None,          do.pass_on),
    Row("CN0305", S.LANDING,     SessionOpened,       None,          do.welcome),
    Row("CN0306", S.LANDING,     SessionEnded,        None,          do.forget),
    Row("CN0314", S.LANDING,     RequestRefused,      None,          None,           do.no_forward,         (FORWARD,)),
    Row("CN0315", S.LANDING,     RequestRefused,      None,          None,           do.no_reverse,         (REVERSE,)),
    Row("CN0316", S.LANDING,     RequestRefused,      None,          None,           do.sessions_suffice,   (ENOUGH,)),
    Row("CN0317", S.LANDING,     RequestRefused,      None,          None,           do.limits_refuse,      (SESSIONS,)),
    Row("CN0307", S.LANDING,     RequestRefused,      None,          None,           None,                  (REFUSED,)),
    Row("CN0320", S.LANDING,     Disconnected,        S.CLOSED,      do.release,     do.fell_silent,        (SILENT, DISCONNECTED)),
    Row("CN0308", S.LANDING,     Disconnected,        S.CLOSED,      do.release,     None,                  (DISCONNECTED,)),
    Row("CN0309", S.LANDING,     ShimFailed,          S.CLOSING,     do.close,       None,                  (CRASHED,)),
    Row("CN0310", S.LANDING,     DrainWanted,         None,          do.note_drain),  # it may land and run first
    Row("CN0311", S.LANDING,     TerminateWanted,     S.CLOSING,     do.close,       None,                  (ENDING,)),
    Row("CN0312", S.LANDING,     CloseWanted,         S.CLOSING,     do.close),
    Row("CN0318", S.LANDING,     LimitNears,          None,          do.pass_on),
    Row("CN0319", S.LANDING,     LimitPassed,         S.CLOSING,     do.close),

    Row("CN0401", S.SERVING,     SessionOpened,       None,          do.welcome),
    Row("CN0402", S.SERVING,     SessionEnded,        None,          do.forget),
    Row("CN0403", S.SERVING,     ContainerExited,     S.STRANDED,    do.died,        None,                  (DIED,)),
    Row("CN0412", S.SERVING,     RequestRefused,      None,          None,           do.no_forward,         (FORWARD,)),
    Row("CN0413", S.SERVING,     RequestRefused,      None,          None,           do.no_reverse,         (REVERSE,)),
    Row("CN0414", S.SERVING,     RequestRefused,      None,          None,           do.sessions_suffice,   (ENOUGH,)),
    Row("CN0415", S.SERVING,     RequestRefused,      None,          None,           do.limits_refuse,      (SESSIONS,)),
    Row("CN0404", S.SERVING,     RequestRefused,      None,          None,           None,                  (REFUSED,)),
    Row("CN0419", S.SERVING,     Disconnected,        S.CLOSED,      do.release,     do.fell_silent,        (SILENT, DISCONNECTED)),
    Row("CN0405", S.SERVING,     Disconnected,        S.CLOSED,      do.release,     None,                  (DISCONNECTED,)),
    Row("CN0406", S.SERVING,     ShimFailed,          S.CLOSING,     do.close,       None,                  (CRASHED,)),
    Row("CN0407", S.SERVING,     DrainWanted,         S.CLOSING,     do.close,       do.has_no_session),
    Row("CN0408", S.SERVING,     DrainWanted,         S.DRAINING),
    Row("CN0411", S.SERVING,     TerminateWanted,     S.CLOSING,     do.close,       do.has_no_session,     (ENDING,)),
    Row("CN0409", S.SERVING,     TerminateWanted,     S.DRAINING,    do.terminate,   None,                  (ENDING,)),
    Row("CN0410", S.SERVING,     CloseWanted,         S.CLOSING,     do.close),
    Row("CN0416", S.SERVING,     LimitNears,          None,          do.pass_on),
    Row("CN0417", S.SERVING,     LimitPassed,         S.CLOSING,     do.close,       do.has_no_session),
    Row("CN0418", S.SERVING,     LimitPassed,         S.DRAINING,    do.end_in_time),

    Row("CN0501", S.STRANDED,    SessionOpened,       None,          do.welcome),
    Row("CN0502", S.STRANDED,    SessionEnded,        S.CLOSING,     do.close_ended, do.was_last_session),
    Row("CN0503", S.STRANDED,    SessionEnded,        None,          do.forget),
    Row("CN0504", S.STRANDED,    DeadlinePassed,      S.CLOSING,     do.close,       None,                  (),               FAREWELL),
    Row("CN0511", S.STRANDED,    RequestRefused,      None,          None,           do.no_forward,         (FORWARD,)),
    Row("CN0512", S.STRANDED,    RequestRefused,      None,          None,           do.no_reverse,         (REVERSE,)),
    Row("CN0513", S.STRANDED,    RequestRefused,      None,          None,           do.sessions_suffice,   (ENOUGH,)),
    Row("CN0514", S.STRANDED,    RequestRefused,      None,          None,           do.limits_refuse,      (SESSIONS,)),
    Row("CN0505", S.STRANDED,    RequestRefused,      None,          None,           None,                  (REFUSED,)),
    Row("CN0517", S.STRANDED,    Disconnected,        S.CLOSED,      do.release,     do.fell_silent,        (SILENT, DISCONNECTED)),
    Row("CN0506", S.STRANDED,    Disconnected,        S.CLOSED,      do.release,     None,                  (DISCONNECTED,)),
    Row("CN0507", S.STRANDED,    ShimFailed,          S.CLOSING,     do.close,       None,                  (CRASHED,)),
    Row("CN0508", S.STRANDED,    DrainWanted,         None),  # it is on its way out already
    Row("CN0509", S.STRANDED,    TerminateWanted,     None),
    Row("CN0510", S.STRANDED,    CloseWanted,         S.CLOSING,     do.close),
    Row("CN0515", S.STRANDED,    LimitNears,          None),
    Row("CN0516", S.STRANDED,    LimitPassed,         None),

    Row("CN0601", S.DRAINING,    SessionOpened,       None,          do.welcome),  # it was under way when the drain began
    Row("CN0602", S.DRAINING,    SessionEnded,        S.CLOSING,     do.close_ended, do.was_last_session),
    Row("CN0603", S.DRAINING,    SessionEnded,        None,          do.forget),
    Row("CN0604", S.DRAINING,    ContainerExited,     S.STRANDED,    do.died),  # expected after our TERM
    Row("CN0611", S.DRAINING,    RequestRefused,      None,          None,           do.no_forward,         (FORWARD,)),
    Row("CN0612", S.DRAINING,    RequestRefused,      None,          None,           do.no_reverse,         (REVERSE,)),
    Row("CN0613", S.DRAINING,    RequestRefused,      None,          None,           do.sessions_suffice,   (ENOUGH,)),
    Row("CN0614", S.DRAINING,    RequestRefused,      None,          None,           do.limits_refuse,      (SESSIONS,)),
    Row("CN0605", S.DRAINING,    RequestRefused,      None,          None,           None,                  (REFUSED,)),
    Row("CN0617", S.DRAINING,    Disconnected,        S.CLOSED,      do.release,     do.fell_silent,        (SILENT, DISCONNECTED)),
    Row("CN0606", S.DRAINING,    Disconnected,        S.CLOSED,      do.release,     None,                  (DISCONNECTED,)),
    Row("CN0607", S.DRAINING,    ShimFailed,          S.CLOSING,     do.close,       None,                  (CRASHED,)),
    Row("CN0608", S.DRAINING,    DrainWanted,         None),
    Row("CN0609", S.DRAINING,    TerminateWanted,     None,          do.terminate,   None,                  (ENDING,)),
    Row("CN0610", S.DRAINING,    CloseWanted,         S.CLOSING,     do.close),
    Row("CN0615", S.DRAINING,    LimitNears,          None,          do.pass_on),
    Row("CN0616", S.DRAINING,    LimitPassed,         None,          do.end_in_time),

    Row("CN0701", S.CLOSING,     Disconnected,        S.CLOSED,      None,           None,                  (DISCONNECTED,)),
    Row("CN0702", S.CLOSING,     DeadlinePassed,      None,          do.abort,       None,                  (),               CLOSE),
    Row("CN0703", S.CLOSING,     SessionOpened,       None),  # all that crosses our close on the wire
    Row("CN0704", S.CLOSING,     SessionEnded,        None),
    Row("CN0705", S.CLOSING,     ContainerLanded,     None),
    Row("CN0706", S.CLOSING,     ContainerFailed,     None),
    Row("CN0707", S.CLOSING,     ContainerProgressed, None),
    Row("CN0708", S.CLOSING,     ContainerExited,     None),
    Row("CN0709", S.CLOSING,     AuthFailed,          None),
    Row("CN0710", S.CLOSING,     Authenticated,       None),
    Row("CN0711", S.CLOSING,     RequestRefused,      None),
    Row("CN0712", S.CLOSING,     ShimFailed,          None,          do.abort),  # not even the close works
    Row("CN0713", S.CLOSING,     DrainWanted,         None),
    Row("CN0714", S.CLOSING,     TerminateWanted,     None),
    Row("CN0715", S.CLOSING,     CloseWanted,         None,          do.abort),
    Row("CN0716", S.CLOSING,     LimitNears,          None),
    Row("CN0717", S.CLOSING,     LimitPassed,         None),
)
# fmt: on

CONNECTION = Kind("connection", S, S.NEW, ROWS, DEADLINES, final=(S.CLOSED,), cell=ConnectionCell)
