"""The rows of the auth machine. What they do and ask stands in `auth`."""

from fsm import auth as do
from fsm.auth import AUTHORIZE, CHECK, CONFIGURE, DEVICE, POLL, AuthCell
from fsm.kernel import Kind, Row
from fsm.retry import BACKOFF, back_off, may_try_again
from protocol import codes
from protocol.auth import (
    Answered,
    AnswersGiven,
    AskFailed,
    AttemptDropped,
    AttemptMade,
    ClientLeft,
    LoginBegun,
    NameGiven,
)
from protocol.auth import AuthState as S
from protocol.base import DeadlinePassed

DEADLINES = {
    CHECK: (S.CHECKING, S.CHECKING_AGAIN),
    AUTHORIZE: (S.AUTHORIZING, S.AUTHORIZING_AGAIN),
    DEVICE: (S.SHOWING, S.POLLING, S.PENDING),
    POLL: (S.PENDING,),
    CONFIGURE: (S.CONFIGURING, S.CONFIGURING_AGAIN),
    BACKOFF: (S.CHECKING_AGAIN, S.AUTHORIZING_AGAIN, S.CONFIGURING_AGAIN),
}

BEGIN, YES, NO, PART = codes.AUTH, codes.AUTH_SUCCESSFUL, codes.AUTH_FAILED, codes.MOORAGE_AUTH_PARTIAL
BROKEN, AWAY, LIMITED = codes.AUTH_BACKEND_ERROR, codes.SSH_AUTH_UNAVAILABLE, codes.MOORAGE_AUTH_LIMITED
UNAUTHORIZED = codes.AUTHZ_FAILED
SHOWN, PENDING, LATE = codes.MOORAGE_DEVICE_CODE, codes.AUTH_OAUTH2_AUTHORIZATION_PENDING, codes.AUTH_OAUTH2_TIMEOUT
OTHER = codes.MOORAGE_AUTH_OTHER_NAME
ASKED, SETTLED, SILENT = codes.CONFIG_REQUEST, codes.CONFIG_RESPONSE, codes.CONFIG_BACKEND_ERROR

# fmt: off
ROWS = (
    #   id        in state             on              to                   do                       when                           says
    Row("AU0101", S.NEW,               LoginBegun,     S.IDLE,              do.note),

    Row("AU0201", S.IDLE,              NameGiven,      None,                do.note_name),
    Row("AU0202", S.IDLE,              AttemptMade,    None,                do.refuse_limited,       do.is_limited,                 (LIMITED,)),
    Row("AU0203", S.IDLE,              AttemptMade,    None,                do.refuse_unseen,        do.is_flawed,                  (NO,)),
    Row("AU0204", S.IDLE,              AttemptMade,    S.PROMPTING,         do.prompt,               do.wants_a_code,               (BEGIN,)),
    Row("AU0205", S.IDLE,              AttemptMade,    S.CHECKING,          do.check,                None,                          (BEGIN,)),
    Row("AU0206", S.IDLE,              AttemptDropped, None,                do.forget),  # it crossed our reply
    Row("AU0207", S.IDLE,              Answered,       None),  # of an attempt that was dropped
    Row("AU0208", S.IDLE,              AskFailed,      None),
    Row("AU0209", S.IDLE,              AnswersGiven,   None),
    Row("AU0210", S.IDLE,              ClientLeft,     S.LEFT),

    Row("AU0301", S.CHECKING,          Answered,       None,                None,                    do.is_stale),
    Row("AU0302", S.CHECKING,          Answered,       S.SHOWING,           do.show,                 do.is_shown,                   (SHOWN,)),
    Row("AU0303", S.CHECKING,          Answered,       S.IDLE,              do.accept,               do.is_acceptable),
    Row("AU0304", S.CHECKING,          Answered,       S.IDLE,              do.refuse_name,          do.is_somebody_else,           (OTHER, NO)),
    Row("AU0305", S.CHECKING,          Answered,       S.IDLE,              do.refuse_way,           do.is_no_way_in,               (NO,)),
    Row("AU0306", S.CHECKING,          Answered,       S.GRANTED,           do.grant,                do.is_all,                     (YES,)),
    Row("AU0317", S.CHECKING,          Answered,       S.CONFIGURING,       do.configure,            do.is_the_last_and_authorized, (YES, ASKED)),
    Row("AU0307", S.CHECKING,          Answered,       S.AUTHORIZING,       do.authorize,            do.is_the_last,                (YES,)),
    Row("AU0308", S.CHECKING,          Answered,       S.IDLE,              do.grant_part,           do.is_yes,                     (PART,)),
    Row("AU0309", S.CHECKING,          Answered,       None,                do.ask_next,             do.has_another_source),
    Row("AU0310", S.CHECKING,          Answered,       S.IDLE,              do.refuse,               None,                          (NO,)),
    Row("AU0311", S.CHECKING,          AskFailed,      None,                None,                    do.is_stale),
    Row("AU0312", S.CHECKING,          AskFailed,      S.CHECKING_AGAIN,    back_off,                may_try_again,                 (BROKEN.quiet(),)),
    Row("AU0313", S.CHECKING,          AskFailed,      S.IDLE,              do.give_up,              None,                          (BROKEN, AWAY)),
    Row("AU0314", S.CHECKING,          DeadlinePassed, S.IDLE,              do.give_up,              None,                          (BROKEN, AWAY), CHECK),
    Row("AU0315", S.CHECKING,          AttemptDropped, S.IDLE,              do.let_go),
    Row("AU0316", S.CHECKING,          ClientLeft,     S.LEFT,              do.let_go),

    Row("AU0401", S.CHECKING_AGAIN,    DeadlinePassed, S.CHECKING,          do.ask,                  None,                          (), BACKOFF),
    Row("AU0402", S.CHECKING_AGAIN,    DeadlinePassed, S.IDLE,              do.give_up,              None,                          (BROKEN, AWAY), CHECK),
    Row("AU0403", S.CHECKING_AGAIN,    Answered,       None),  # of an attempt that was dropped
    Row("AU0404", S.CHECKING_AGAIN,    AskFailed,      None),
    Row("AU0405", S.CHECKING_AGAIN,    AttemptDropped, S.IDLE,              do.let_go),
    Row("AU0406", S.CHECKING_AGAIN,    ClientLeft,     S.LEFT,              do.let_go),

    Row("AU0501", S.PROMPTING,         AnswersGiven,   S.IDLE,              do.refuse_limited,       do.is_limited,                 (LIMITED,)),
    Row("AU0502", S.PROMPTING,         AnswersGiven,   S.CHECKING,          do.ask),
    Row("AU0503", S.PROMPTING,         Answered,       None),  # of an attempt that was dropped
    Row("AU0504", S.PROMPTING,         AskFailed,      None),
    Row("AU0505", S.PROMPTING,         AttemptDropped, S.IDLE,              do.forget),
    Row("AU0506", S.PROMPTING,         ClientLeft,     S.LEFT),

    Row("AU0601", S.SHOWING,           AnswersGiven,   S.POLLING,           do.ask_for_token),
    Row("AU0602", S.SHOWING,           DeadlinePassed, S.IDLE,              do.give_up_device,       None,                          (LATE, NO), DEVICE),
    Row("AU0603", S.SHOWING,           Answered,       None),  # of an attempt that was dropped
    Row("AU0604", S.SHOWING,           AskFailed,      None),
    Row("AU0605", S.SHOWING,           AttemptDropped, S.IDLE,              do.forget),
    Row("AU0606", S.SHOWING,           ClientLeft,     S.LEFT),

    Row("AU0701", S.POLLING,           Answered,       None,                None,                    do.is_stale),
    Row("AU0702", S.POLLING,           Answered,       S.PENDING,           do.wait,                 do.is_pending,                 (PENDING,)),
    Row("AU0703", S.POLLING,           Answered,       S.IDLE,              do.refuse_name,          do.is_somebody_else,           (OTHER, NO)),
    Row("AU0704", S.POLLING,           Answered,       S.IDLE,              do.refuse_way,           do.is_no_way_in,               (NO,)),
    Row("AU0705", S.POLLING,           Answered,       S.GRANTED,           do.grant,                do.is_all,                     (YES,)),
    Row("AU0715", S.POLLING,           Answered,       S.CONFIGURING,       do.configure,            do.is_the_last_and_authorized, (YES, ASKED)),
    Row("AU0706", S.POLLING,           Answered,       S.AUTHORIZING,       do.authorize,            do.is_the_last,                (YES,)),
    Row("AU0707", S.POLLING,           Answered,       S.IDLE,              do.grant_part,           do.is_yes,                     (PART,)),
    Row("AU0708", S.POLLING,           Answered,       S.IDLE,              do.refuse,               None,                          (NO,)),
    Row("AU0709", S.POLLING,           AskFailed,      None,                None,                    do.is_stale),
    Row("AU0710", S.POLLING,           AskFailed,      S.PENDING,           None,                    may_try_again,                 (BROKEN.quiet(),)),
    Row("AU0711", S.POLLING,           AskFailed,      S.IDLE,              do.give_up,              None,                          (BROKEN, AWAY)),
    Row("AU0712", S.POLLING,           DeadlinePassed, S.IDLE,              do.give_up_device,       None,                          (LATE, NO), DEVICE),
    Row("AU0713", S.POLLING,           AttemptDropped, S.IDLE,              do.let_go),
    Row("AU0714", S.POLLING,           ClientLeft,     S.LEFT,              do.let_go),

    Row("AU0801", S.PENDING,           DeadlinePassed, S.POLLING,           do.ask_for_token,        None,                          (), POLL),
    Row("AU0802", S.PENDING,           DeadlinePassed, S.IDLE,              do.give_up_device,       None,                          (LATE, NO), DEVICE),
    Row("AU0803", S.PENDING,           Answered,       None),  # of an attempt that was dropped
    Row("AU0804", S.PENDING,           AskFailed,      None),
    Row("AU0805", S.PENDING,           AttemptDropped, S.IDLE,              do.forget),
    Row("AU0806", S.PENDING,           ClientLeft,     S.LEFT),

    Row("AU0901", S.AUTHORIZING,       Answered,       None,                None,                    do.is_stale),
    Row("AU0902", S.AUTHORIZING,       Answered,       S.GRANTED,           do.grant_authorized,     do.is_yes_of_all),
    Row("AU0910", S.AUTHORIZING,       Answered,       S.CONFIGURING,       do.configure_authorized, do.is_yes,                     (ASKED,)),
    Row("AU0903", S.AUTHORIZING,       Answered,       S.IDLE,              do.refuse_authz,         None,                          (UNAUTHORIZED,)),
    Row("AU0904", S.AUTHORIZING,       AskFailed,      None,                None,                    do.is_stale),
    Row("AU0905", S.AUTHORIZING,       AskFailed,      S.AUTHORIZING_AGAIN, back_off,                may_try_again,                 (BROKEN.quiet(),)),
    Row("AU0906", S.AUTHORIZING,       AskFailed,      S.IDLE,              do.give_up,              None,                          (BROKEN, AWAY)),
    Row("AU0907", S.AUTHORIZING,       DeadlinePassed, S.IDLE,              do.give_up,              None,                          (BROKEN, AWAY), AUTHORIZE),
    Row("AU0908", S.AUTHORIZING,       AttemptDropped, S.IDLE,              do.let_go),
    Row("AU0909", S.AUTHORIZING,       ClientLeft,     S.LEFT,              do.let_go),

    Row("AU1001", S.AUTHORIZING_AGAIN, DeadlinePassed, S.AUTHORIZING,       do.ask,                  None,                          (), BACKOFF),
    Row("AU1002", S.AUTHORIZING_AGAIN, DeadlinePassed, S.IDLE,              do.give_up,              None,                          (BROKEN, AWAY), AUTHORIZE),
    Row("AU1003", S.AUTHORIZING_AGAIN, Answered,       None),  # of an attempt that was dropped
    Row("AU1004", S.AUTHORIZING_AGAIN, AskFailed,      None),
    Row("AU1005", S.AUTHORIZING_AGAIN, AttemptDropped, S.IDLE,              do.let_go),
    Row("AU1006", S.AUTHORIZING_AGAIN, ClientLeft,     S.LEFT,              do.let_go),

    Row("AU1101", S.CONFIGURING,       Answered,       None,                None,                    do.is_stale),
    Row("AU1102", S.CONFIGURING,       Answered,       S.GRANTED,           do.grant_settled,        do.is_yes,                     (SETTLED,)),
    Row("AU1103", S.CONFIGURING,       Answered,       S.GRANTED,           do.grant_unsettled),  # it said what may not be said
    Row("AU1104", S.CONFIGURING,       AskFailed,      None,                None,                    do.is_stale),
    Row("AU1105", S.CONFIGURING,       AskFailed,      S.CONFIGURING_AGAIN, back_off,                may_try_again,                 (SILENT.quiet(),)),
    Row("AU1106", S.CONFIGURING,       AskFailed,      S.GRANTED,           do.grant_unsettled,      None,                          (SILENT,)),
    Row("AU1107", S.CONFIGURING,       DeadlinePassed, S.GRANTED,           do.grant_unsettled,      None,                          (SILENT,), CONFIGURE),
    Row("AU1108", S.CONFIGURING,       AttemptDropped, S.IDLE,              do.let_go),
    Row("AU1109", S.CONFIGURING,       ClientLeft,     S.LEFT,              do.let_go),

    Row("AU1201", S.CONFIGURING_AGAIN, DeadlinePassed, S.CONFIGURING,       do.ask,                  None,                          (), BACKOFF),
    Row("AU1202", S.CONFIGURING_AGAIN, DeadlinePassed, S.GRANTED,           do.grant_unsettled,      None,                          (SILENT,), CONFIGURE),
    Row("AU1203", S.CONFIGURING_AGAIN, Answered,       None),  # of an attempt that was dropped
    Row("AU1204", S.CONFIGURING_AGAIN, AskFailed,      None),
    Row("AU1205", S.CONFIGURING_AGAIN, AttemptDropped, S.IDLE,              do.let_go),
    Row("AU1206", S.CONFIGURING_AGAIN, ClientLeft,     S.LEFT,              do.let_go),
)
# fmt: on

AUTH = Kind("auth", S, S.NEW, ROWS, DEADLINES, final=(S.GRANTED, S.LEFT), cell=AuthCell)
