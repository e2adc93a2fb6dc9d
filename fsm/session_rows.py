"""The session machine's table. What the makers and guards do stands in `session.py`."""

from fsm import session as do
from fsm import session_cell as when
from fsm.kernel import Kind, Row
from fsm.retry import BACKOFF, back_off, may_try_again
from fsm.session_cell import CLOSE, COMMAND, EXIT, SessionCell
from protocol import codes
from protocol.base import DeadlinePassed
from protocol.connection import LimitNears, TerminateWanted
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded, ContainerProgressed
from protocol.session import (
    ChannelClosed,
    ChannelOpened,
    CommandForced,
    EnvOffered,
    ExecAttached,
    ExecAttachFailed,
    ExecCreated,
    ExecCreateFailed,
    ExecInspected,
    ExecInspectFailed,
    InputEnded,
    OddRequest,
    OutputEnded,
    ProgramExited,
    ProgramSpawned,
    ProgramWanted,
    PtyWanted,
    SignalWanted,
    SpawnFailed,
    WindowChanged,
)
from protocol.session import SessionState as S
from protocol.signal import SignalDelivered

DEADLINES = {
    COMMAND: (S.CREATING, S.CREATING_AGAIN, S.ATTACHING, S.SPAWNING),
    EXIT: (S.AWAITING_EXIT, S.READING_EXIT, S.READING_EXIT_AGAIN),
    BACKOFF: (S.CREATING_AGAIN, S.READING_EXIT_AGAIN),
    CLOSE: (S.CLOSING,),
}

NEW, ODD = codes.SSH_NEW_CHANNEL, codes.SSH_CHANNEL_REQUEST_FAILED
REFUSED, NO_SUBSYSTEM = codes.MOORAGE_COMMAND_REFUSED, codes.DOCKER_SUBSYSTEM_NOT_SUPPORTED
NO_CONTAINER, ENDING = codes.MOORAGE_SESSION_REFUSED, codes.DOCKER_CONTAINER_SHUTTING_DOWN
ALREADY = codes.DOCKER_PROGRAM_ALREADY_RUNNING
MEMORY = codes.MOORAGE_OUT_OF_MEMORY
NOT_RUNNING, NO_AGENT = codes.DOCKER_PROGRAM_NOT_RUNNING, codes.DOCKER_EXEC_SIGNAL_FAILED_NO_AGENT
EXEC = codes.DOCKER_EXEC
NO_ENV, NO_TTY, NO_SIGNAL = codes.SECURITY_ENV_REJECTED, codes.SECURITY_TTY_REJECTED, codes.SECURITY_SIGNAL_REJECTED
NO_EXEC, NO_SHELL = codes.SECURITY_EXEC_REJECTED, codes.SECURITY_SHELL_REJECTED
NO_SUBSYSTEMS, NO_COMMANDS = codes.SECURITY_SUBSYSTEM_REJECTED, codes.DOCKERRUN_EXEC_DISABLED
NO_X11, FORCING = codes.SECURITY_X11_FORWARDING_REJECTED, codes.SECURITY_EXEC_FORCING_COMMAND
NO_SETENV, CONTAINERS = codes.SECURITY_EXEC_FAILED_SETENV, codes.MOORAGE_LIMIT_CONTAINERS
CREATE, CREATE_FAILED = codes.DOCKER_EXEC_CREATE, codes.DOCKER_EXEC_CREATE_FAILED
ATTACH, ATTACH_FAILED = codes.DOCKER_EXEC_ATTACH, codes.DOCKER_EXEC_ATTACH_FAILED
SPAWN, SPAWN_FAILED = codes.MOORAGE_SPAWN, codes.MOORAGE_SPAWN_FAILED
CODE, CODE_FAILED, STILL = codes.DOCKER_EXIT_CODE, codes.DOCKER_EXIT_CODE_FAILED, codes.DOCKER_EXIT_CODE_STILL_RUNNING
BROKE, GONE = codes.DOCKER_STREAM_OUTPUT_FAILED, codes.DOCKER_STREAM_INPUT_FAILED
SENT, BY_SIGNAL, SLOW = codes.SSH_EXIT, codes.SSH_EXIT_SIGNAL, codes.DOCKER_CLOSE_OUTPUT_FAILED

# fmt: off
ROWS = (
    #   id        in state              on                   to                    do                     when                        says
    Row("SS0101", S.OPEN,               ChannelOpened,       None,                 do.open_,              None,                       (NEW,)),
    Row("SS0122", S.OPEN,               EnvOffered,          None,                 None,                  when.policy_refuses,        (NO_ENV,)),
    Row("SS0102", S.OPEN,               EnvOffered,          None,                 None,                  when.is_taken),
    Row("SS0103", S.OPEN,               EnvOffered,          None,                 None,                  None,                       (ODD,)),
    Row("SS0123", S.OPEN,               PtyWanted,           None,                 do.tell_no_tty,        when.policy_refuses,        (NO_TTY,)),
    Row("SS0104", S.OPEN,               PtyWanted,           None,                 do.note_pty),
    Row("SS0105", S.OPEN,               WindowChanged,       None,                 do.note_size),
    Row("SS0124", S.OPEN,               SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS0106", S.OPEN,               SignalWanted,        None,                 None,                  None,                       (NOT_RUNNING,)),
    Row("SS0125", S.OPEN,               OddRequest,          None,                 None,                  when.no_x11,                (NO_X11,)),
    Row("SS0107", S.OPEN,               OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS0108", S.OPEN,               InputEnded,          None),
    Row("SS0109", S.OPEN,               ContainerLanded,     None,                 do.note_landed),
    Row("SS0110", S.OPEN,               ContainerFailed,     None,                 do.note_failed),
    Row("SS0111", S.OPEN,               ContainerExited,     None,                 do.note_died),
    Row("SS0112", S.OPEN,               ContainerProgressed, None),
    Row("SS0126", S.OPEN,               CommandForced,       None,                 None,                  None,                       (FORCING,)),
    Row("SS0127", S.OPEN,               ProgramWanted,       S.CLOSING,            do.refuse,             when.no_exec,               (NO_EXEC,)),
    Row("SS0128", S.OPEN,               ProgramWanted,       S.CLOSING,            do.refuse,             when.no_shell,              (NO_SHELL,)),
    Row("SS0129", S.OPEN,               ProgramWanted,       S.CLOSING,            do.refuse,             when.no_subsystem,          (NO_SUBSYSTEMS,)),
    Row("SS0130", S.OPEN,               ProgramWanted,       S.CLOSING,            do.refuse,             when.commands_are_off,      (NO_COMMANDS,)),
    Row("SS0131", S.OPEN,               ProgramWanted,       S.CLOSING,            do.refuse,             when.env_is_too_small,      (NO_SETENV,)),
    Row("SS0132", S.OPEN,               ProgramWanted,       S.CLOSING,            do.refuse,             when.limits_refuse,         (CONTAINERS,)),
    Row("SS0113", S.OPEN,               ProgramWanted,       S.CLOSING,            do.refuse,             when.subsystem_is_unknown,  (NO_SUBSYSTEM,)),
    Row("SS0114", S.OPEN,               ProgramWanted,       S.CLOSING,            do.refuse,             when.program_is_refused,    (REFUSED,)),
    Row("SS0115", S.OPEN,               ProgramWanted,       S.CLOSING,            do.give_up,            when.container_has_failed,  (NO_CONTAINER,)),
    Row("SS0116", S.OPEN,               ProgramWanted,       S.LANDING,            do.land_own,           when.mode_is_session,       (EXEC,)),
    Row("SS0121", S.OPEN,               ProgramWanted,       S.SPAWNING,           do.spawn,              when.agent_is_here,         (EXEC, SPAWN)),
    Row("SS0117", S.OPEN,               ProgramWanted,       S.CREATING,           do.create_exec,        when.container_is_here,     (EXEC, CREATE)),
    Row("SS0118", S.OPEN,               ProgramWanted,       S.LANDING,            do.wait_for_container, None,                       (EXEC,)),
    Row("SS0119", S.OPEN,               TerminateWanted,     S.CLOSING,            do.turn_away,          None,                       (ENDING,)),
    Row("SS0133", S.OPEN,               LimitNears,          None),  # nobody listens yet
    Row("SS0120", S.OPEN,               ChannelClosed,       S.ENDED,              do.end),

    Row("SS0217", S.LANDING,            ContainerLanded,     S.SPAWNING,           do.spawn,              when.agent_is_here,         (SPAWN,)),
    Row("SS0218", S.LANDING,            ContainerLanded,     S.CLOSING,            do.finish_broken,      when.stream_has_broken,     (BROKE,)),
    Row("SS0201", S.LANDING,            ContainerLanded,     S.AWAITING_EXIT,      do.run_own,            when.own_output_has_ended),
    Row("SS0202", S.LANDING,            ContainerLanded,     S.RUNNING,            do.run_own,            when.mode_is_session),
    Row("SS0203", S.LANDING,            ContainerLanded,     S.CREATING,           do.create_exec,        None,                       (CREATE,)),
    Row("SS0204", S.LANDING,            ContainerFailed,     S.CLOSING,            do.give_up,            None,                       (NO_CONTAINER,)),
    Row("SS0205", S.LANDING,            ContainerExited,     S.CLOSING,            do.give_up,            None,                       (NO_CONTAINER,)),
    Row("SS0206", S.LANDING,            ContainerProgressed, None,                 do.show_progress,      when.user_is_watching),
    Row("SS0207", S.LANDING,            ContainerProgressed, None),
    Row("SS0208", S.LANDING,            OutputEnded,         None,                 do.note_output_ended),  # it ended before we heard of its start
    Row("SS0209", S.LANDING,            WindowChanged,       None,                 do.note_size),
    Row("SS0219", S.LANDING,            SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS0216", S.LANDING,            SignalWanted,        None,                 do.hold_signal,        when.mode_is_session),
    Row("SS0210", S.LANDING,            SignalWanted,        None,                 None,                  None,                       (NOT_RUNNING,)),
    Row("SS0211", S.LANDING,            OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS0212", S.LANDING,            InputEnded,          None),
    Row("SS0213", S.LANDING,            TerminateWanted,     S.CLOSING,            do.turn_away,          None,                       (ENDING,)),
    Row("SS0220", S.LANDING,            LimitNears,          None,                 do.tell_limit),
    Row("SS0214", S.LANDING,            ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS0215", S.LANDING,            ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),

    Row("SS0301", S.CREATING,           ExecCreated,         S.ATTACHING,          do.attach_exec,        None,                       (ATTACH,)),
    Row("SS0302", S.CREATING,           ExecCreateFailed,    S.CREATING_AGAIN,     back_off,              may_try_again,              (CREATE_FAILED.quiet(),)),
    Row("SS0303", S.CREATING,           ExecCreateFailed,    S.CLOSING,            do.fail_create,        None,                       (CREATE_FAILED,)),
    Row("SS0304", S.CREATING,           DeadlinePassed,      S.CLOSING,            do.fail_create,        None,                       (CREATE_FAILED,), COMMAND),
    Row("SS0305", S.CREATING,           ContainerExited,     S.CLOSING,            do.give_up,            None,                       (NO_CONTAINER,)),
    Row("SS0306", S.CREATING,           WindowChanged,       None,                 do.note_size),
    Row("SS0313", S.CREATING,           SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS0307", S.CREATING,           SignalWanted,        None,                 None,                  None,                       (NOT_RUNNING,)),
    Row("SS0308", S.CREATING,           OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS0309", S.CREATING,           InputEnded,          None),
    Row("SS0310", S.CREATING,           TerminateWanted,     S.CLOSING,            do.turn_away,          None,                       (ENDING,)),
    Row("SS0314", S.CREATING,           LimitNears,          None,                 do.tell_limit),
    Row("SS0311", S.CREATING,           ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS0312", S.CREATING,           ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),

    Row("SS0401", S.CREATING_AGAIN,     DeadlinePassed,      S.CREATING,           do.create_exec,        None,                       (CREATE,),        BACKOFF),
    Row("SS0402", S.CREATING_AGAIN,     DeadlinePassed,      S.CLOSING,            do.fail_create,        None,                       (CREATE_FAILED,), COMMAND),
    Row("SS0403", S.CREATING_AGAIN,     ContainerExited,     S.CLOSING,            do.give_up,            None,                       (NO_CONTAINER,)),
    Row("SS0404", S.CREATING_AGAIN,     WindowChanged,       None,                 do.note_size),
    Row("SS0411", S.CREATING_AGAIN,     SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS0405", S.CREATING_AGAIN,     SignalWanted,        None,                 None,                  None,                       (NOT_RUNNING,)),
    Row("SS0406", S.CREATING_AGAIN,     OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS0407", S.CREATING_AGAIN,     InputEnded,          None),
    Row("SS0408", S.CREATING_AGAIN,     TerminateWanted,     S.CLOSING,            do.turn_away,          None,                       (ENDING,)),
    Row("SS0412", S.CREATING_AGAIN,     LimitNears,          None,                 do.tell_limit),
    Row("SS0409", S.CREATING_AGAIN,     ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS0410", S.CREATING_AGAIN,     ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),

    Row("SS0514", S.ATTACHING,          ExecAttached,        S.CLOSING,            do.finish_broken,      when.stream_has_broken,     (BROKE,)),
    Row("SS0501", S.ATTACHING,          ExecAttached,        S.READING_EXIT,       do.inspect,            when.output_has_ended),
    Row("SS0502", S.ATTACHING,          ExecAttached,        S.RUNNING,            do.run_exec),
    Row("SS0503", S.ATTACHING,          ExecAttachFailed,    S.CLOSING,            do.fail_attach,        None,                       (ATTACH_FAILED,)),
    Row("SS0504", S.ATTACHING,          DeadlinePassed,      S.CLOSING,            do.fail_attach,        None,                       (ATTACH_FAILED,), COMMAND),
    Row("SS0505", S.ATTACHING,          OutputEnded,         None,                 do.note_output_ended),  # it ended before we heard of its start
    Row("SS0506", S.ATTACHING,          ContainerExited,     None,                 do.note_exit),  # the attach fails or its output ends
    Row("SS0507", S.ATTACHING,          WindowChanged,       None,                 do.note_size),
    Row("SS0515", S.ATTACHING,          SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS0508", S.ATTACHING,          SignalWanted,        None,                 None,                  None,                       (NOT_RUNNING,)),
    Row("SS0509", S.ATTACHING,          OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS0510", S.ATTACHING,          InputEnded,          None),
    Row("SS0511", S.ATTACHING,          TerminateWanted,     S.CLOSING,            do.turn_away,          None,                       (ENDING,)),
    Row("SS0516", S.ATTACHING,          LimitNears,          None,                 do.tell_limit),
    Row("SS0512", S.ATTACHING,          ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS0513", S.ATTACHING,          ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),

    Row("SS0615", S.RUNNING,            OutputEnded,         S.AWAITING_EXIT,      do.note_output_ended,  when.agent_is_here),
    Row("SS0601", S.RUNNING,            OutputEnded,         S.CLOSING,            do.finish_broken,      when.own_stream_broke,      (BROKE,)),
    Row("SS0602", S.RUNNING,            OutputEnded,         S.AWAITING_EXIT,      do.note_output_ended,  when.program_is_container),
    Row("SS0603", S.RUNNING,            OutputEnded,         S.CLOSING,            do.finish_broken,      when.stream_broke,          (BROKE,)),
    Row("SS0604", S.RUNNING,            OutputEnded,         S.READING_EXIT,       do.inspect),
    Row("SS0605", S.RUNNING,            ContainerExited,     S.DRAINING,           do.note_exit),
    Row("SS0616", S.RUNNING,            ProgramExited,       S.DRAINING,           do.note_program_exit),
    Row("SS0617", S.RUNNING,            WindowChanged,       None,                 do.resize_program,     when.agent_is_here),
    Row("SS0606", S.RUNNING,            WindowChanged,       None,                 do.resize),
    Row("SS0619", S.RUNNING,            SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS0618", S.RUNNING,            SignalWanted,        None,                 do.signal_program,     when.agent_is_here),
    Row("SS0607", S.RUNNING,            SignalWanted,        None,                 do.signal,             when.program_is_container),
    Row("SS0608", S.RUNNING,            SignalWanted,        None,                 None,                  None,                       (NO_AGENT,)),
    Row("SS0609", S.RUNNING,            SignalDelivered,     None,                 do.note_signal),
    Row("SS0610", S.RUNNING,            OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS0611", S.RUNNING,            InputEnded,          None),
    Row("SS0612", S.RUNNING,            TerminateWanted,     None,                 do.tell_terminating),
    Row("SS0620", S.RUNNING,            LimitNears,          None,                 do.tell_limit),
    Row("SS0613", S.RUNNING,            ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS0614", S.RUNNING,            ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),

    Row("SS0711", S.AWAITING_EXIT,      ProgramExited,       S.CLOSING,            do.finish_program,     None,                       (CODE, SENT)),
    Row("SS0712", S.AWAITING_EXIT,      ContainerExited,     S.CLOSING,            do.finish_dead,        when.agent_is_here,         (SENT,)),
    Row("SS0714", S.AWAITING_EXIT,      ContainerExited,     S.CLOSING,            do.finish_own,         when.own_ran_out_of_memory, (CODE, MEMORY, BY_SIGNAL)),
    Row("SS0701", S.AWAITING_EXIT,      ContainerExited,     S.CLOSING,            do.finish_own,         when.ended_by_our_signal,   (CODE, BY_SIGNAL)),
    Row("SS0702", S.AWAITING_EXIT,      ContainerExited,     S.CLOSING,            do.finish_own,         None,                       (CODE, SENT)),
    Row("SS0703", S.AWAITING_EXIT,      WindowChanged,       None),
    Row("SS0717", S.AWAITING_EXIT,      SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS0713", S.AWAITING_EXIT,      SignalWanted,        None,                 do.signal_program,     when.agent_is_here),
    Row("SS0704", S.AWAITING_EXIT,      SignalWanted,        None,                 do.signal),
    Row("SS0705", S.AWAITING_EXIT,      SignalDelivered,     None,                 do.note_signal),
    Row("SS0706", S.AWAITING_EXIT,      OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS0707", S.AWAITING_EXIT,      InputEnded,          None),
    Row("SS0708", S.AWAITING_EXIT,      TerminateWanted,     None,                 do.tell_terminating),
    Row("SS0718", S.AWAITING_EXIT,      LimitNears,          None,                 do.tell_limit),
    Row("SS0709", S.AWAITING_EXIT,      ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS0710", S.AWAITING_EXIT,      ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),
    # A served program may close its output and go on; an engine that restarts lets go of the stream, and nobody is left.
    Row("SS0716", S.AWAITING_EXIT,      DeadlinePassed,      None,                 None,                  when.agent_is_here,         (),               EXIT),
    Row("SS0715", S.AWAITING_EXIT,      DeadlinePassed,      S.CLOSING,            do.finish_lost,        None,                       (CODE_FAILED,),   EXIT),

    Row("SS0817", S.DRAINING,           OutputEnded,         S.CLOSING,            do.finish_broken,      when.served_output_is_cut,  (BROKE,)),
    Row("SS0812", S.DRAINING,           OutputEnded,         S.CLOSING,            do.finish_program,     when.program_exit_is_known, (CODE, SENT)),
    Row("SS0815", S.DRAINING,           OutputEnded,         S.CLOSING,            do.finish_broken,      when.own_stream_broke,      (BROKE,)),
    Row("SS0816", S.DRAINING,           OutputEnded,         S.CLOSING,            do.finish_own,         when.own_ran_out_of_memory, (CODE, MEMORY, BY_SIGNAL)),
    Row("SS0801", S.DRAINING,           OutputEnded,         S.CLOSING,            do.finish_own,         when.ended_by_our_signal,   (CODE, BY_SIGNAL)),
    Row("SS0802", S.DRAINING,           OutputEnded,         S.CLOSING,            do.finish_own,         when.program_is_container,  (CODE, SENT)),
    Row("SS0803", S.DRAINING,           OutputEnded,         S.CLOSING,            do.finish_dead,        None,                       (SENT,)),
    Row("SS0813", S.DRAINING,           ProgramExited,       None,                 do.note_program_exit),  # the container has ended, and the agent was heard after the engine
    Row("SS0814", S.DRAINING,           ContainerExited,     None,                 do.note_exit),
    Row("SS0804", S.DRAINING,           WindowChanged,       None),
    Row("SS0818", S.DRAINING,           SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS0805", S.DRAINING,           SignalWanted,        None,                 None,                  None,                       (NOT_RUNNING,)),
    Row("SS0806", S.DRAINING,           SignalDelivered,     None,                 do.note_signal),
    Row("SS0807", S.DRAINING,           OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS0808", S.DRAINING,           InputEnded,          None),
    Row("SS0809", S.DRAINING,           TerminateWanted,     None),
    Row("SS0819", S.DRAINING,           LimitNears,          None,                 do.tell_limit),
    Row("SS0810", S.DRAINING,           ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS0811", S.DRAINING,           ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),

    Row("SS0915", S.READING_EXIT,       ExecInspected,       S.CLOSING,            do.finish_dead,        when.container_died_too,    (SENT,)),
    Row("SS0916", S.READING_EXIT,       ExecInspected,       S.READING_EXIT_AGAIN, do.ask_again,          when.container_may_have_died),
    Row("SS0917", S.READING_EXIT,       ExecInspected,       S.CLOSING,            do.finish_exec,        when.ran_out_of_memory,     (CODE, MEMORY, SENT)),
    Row("SS0901", S.READING_EXIT,       ExecInspected,       S.CLOSING,            do.finish_exec,        when.program_has_ended,     (CODE, SENT)),
    Row("SS0902", S.READING_EXIT,       ExecInspected,       S.READING_EXIT_AGAIN, do.ask_again,          None,                       (STILL,)),
    Row("SS0903", S.READING_EXIT,       ExecInspectFailed,   S.CLOSING,            do.finish_dead,        when.container_has_exited,  (SENT,)),
    Row("SS0918", S.READING_EXIT,       ExecInspectFailed,   S.READING_EXIT_AGAIN, back_off,              when.container_may_be_gone, (CODE_FAILED.quiet(),)),
    Row("SS0904", S.READING_EXIT,       ExecInspectFailed,   S.READING_EXIT_AGAIN, back_off,              may_try_again,              (CODE_FAILED.quiet(),)),
    Row("SS0905", S.READING_EXIT,       ExecInspectFailed,   S.CLOSING,            do.finish_lost,        None,                       (CODE_FAILED,)),
    Row("SS0906", S.READING_EXIT,       DeadlinePassed,      S.CLOSING,            do.finish_lost,        None,                       (CODE_FAILED,),   EXIT),
    Row("SS0907", S.READING_EXIT,       ContainerExited,     None,                 do.note_exit),
    Row("SS0908", S.READING_EXIT,       WindowChanged,       None),
    Row("SS0919", S.READING_EXIT,       SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS0909", S.READING_EXIT,       SignalWanted,        None,                 None,                  None,                       (NOT_RUNNING,)),
    Row("SS0910", S.READING_EXIT,       OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS0911", S.READING_EXIT,       InputEnded,          None),
    Row("SS0912", S.READING_EXIT,       TerminateWanted,     None),
    Row("SS0920", S.READING_EXIT,       LimitNears,          None,                 do.tell_limit),
    Row("SS0913", S.READING_EXIT,       ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS0914", S.READING_EXIT,       ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),

    Row("SS1001", S.READING_EXIT_AGAIN, DeadlinePassed,      S.READING_EXIT,       do.inspect,            deadline=BACKOFF),
    Row("SS1002", S.READING_EXIT_AGAIN, DeadlinePassed,      S.CLOSING,            do.finish_lost,        None,                       (CODE_FAILED,),   EXIT),
    Row("SS1003", S.READING_EXIT_AGAIN, ContainerExited,     S.CLOSING,            do.finish_dead,        None,                       (SENT,)),
    Row("SS1004", S.READING_EXIT_AGAIN, WindowChanged,       None),
    Row("SS1011", S.READING_EXIT_AGAIN, SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS1005", S.READING_EXIT_AGAIN, SignalWanted,        None,                 None,                  None,                       (NOT_RUNNING,)),
    Row("SS1006", S.READING_EXIT_AGAIN, OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS1007", S.READING_EXIT_AGAIN, InputEnded,          None),
    Row("SS1008", S.READING_EXIT_AGAIN, TerminateWanted,     None),
    Row("SS1012", S.READING_EXIT_AGAIN, LimitNears,          None,                 do.tell_limit),
    Row("SS1009", S.READING_EXIT_AGAIN, ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS1010", S.READING_EXIT_AGAIN, ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),

    Row("SS1101", S.CLOSING,            ChannelClosed,       S.ENDED,              do.end),
    Row("SS1102", S.CLOSING,            DeadlinePassed,      None,                 do.drop_channel,       None,                       (SLOW,),          CLOSE),
    Row("SS1103", S.CLOSING,            ContainerLanded,     None),  # all that crosses our close on the wire
    Row("SS1104", S.CLOSING,            ContainerFailed,     None),
    Row("SS1105", S.CLOSING,            ContainerExited,     None),
    Row("SS1106", S.CLOSING,            ContainerProgressed, None),
    Row("SS1107", S.CLOSING,            ExecCreated,         None),
    Row("SS1108", S.CLOSING,            ExecCreateFailed,    None),
    Row("SS1109", S.CLOSING,            ExecAttached,        None),
    Row("SS1110", S.CLOSING,            ExecAttachFailed,    None),
    Row("SS1111", S.CLOSING,            ExecInspected,       None),
    Row("SS1112", S.CLOSING,            ExecInspectFailed,   None),
    Row("SS1113", S.CLOSING,            OutputEnded,         None),
    Row("SS1114", S.CLOSING,            WindowChanged,       None),
    Row("SS1115", S.CLOSING,            SignalWanted,        None),
    Row("SS1116", S.CLOSING,            SignalDelivered,     None),
    Row("SS1117", S.CLOSING,            OddRequest,          None),
    Row("SS1118", S.CLOSING,            InputEnded,          None),
    Row("SS1119", S.CLOSING,            TerminateWanted,     None),
    Row("SS1127", S.CLOSING,            LimitNears,          None),
    Row("SS1120", S.CLOSING,            ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),
    Row("SS1121", S.CLOSING,            EnvOffered,          None),
    Row("SS1122", S.CLOSING,            PtyWanted,           None),
    Row("SS1123", S.CLOSING,            ProgramSpawned,      None),
    Row("SS1124", S.CLOSING,            SpawnFailed,         None),
    Row("SS1125", S.CLOSING,            ProgramExited,       None),
    Row("SS1126", S.CLOSING,            CommandForced,       None),

    Row("SS1201", S.SPAWNING,           ProgramSpawned,      S.RUNNING,            do.note_spawned),
    Row("SS1202", S.SPAWNING,           SpawnFailed,         S.CLOSING,            do.fail_spawn,         None,                       (SPAWN_FAILED,)),
    Row("SS1203", S.SPAWNING,           DeadlinePassed,      S.CLOSING,            do.fail_spawn,         None,                       (SPAWN_FAILED,),  COMMAND),
    Row("SS1204", S.SPAWNING,           ContainerExited,     S.CLOSING,            do.give_up,            None,                       (NO_CONTAINER,)),
    Row("SS1205", S.SPAWNING,           WindowChanged,       None,                 do.resize_program),  # the link keeps the order
    Row("SS1213", S.SPAWNING,           SignalWanted,        None,                 do.tell_no_signal,     when.policy_refuses,        (NO_SIGNAL,)),
    Row("SS1206", S.SPAWNING,           SignalWanted,        None,                 do.signal_program),
    Row("SS1207", S.SPAWNING,           OddRequest,          None,                 None,                  None,                       (ODD,)),
    Row("SS1208", S.SPAWNING,           InputEnded,          None),
    Row("SS1209", S.SPAWNING,           OutputEnded,         None,                 do.note_output_ended),  # the link is gone
    Row("SS1210", S.SPAWNING,           TerminateWanted,     S.CLOSING,            do.turn_away,          None,                       (ENDING,)),
    Row("SS1214", S.SPAWNING,           LimitNears,          None,                 do.tell_limit),
    Row("SS1211", S.SPAWNING,           ChannelClosed,       S.ENDED,              do.end,                None,                       (GONE,)),
    Row("SS1212", S.SPAWNING,           ProgramWanted,       None,                 None,                  None,                       (ALREADY,)),
)
# fmt: on

SESSION = Kind("session", S, S.OPEN, ROWS, DEADLINES, final=(S.ENDED,), cell=SessionCell)
