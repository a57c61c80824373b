#!/bin/bash
# Runs as root at every start of the notebook: fetches the idle script from S3, verifies it and schedules it.
# SageMaker fails a start that takes 5 minutes; fetching ends within 150 seconds whatever S3 does.
# @settings@
set -u
umask 077
unset CDPATH
export PATH="${IDLE_AUTOSTOP_PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
export AWS_S3_US_EAST_1_REGIONAL_ENDPOINT=regional AWS_PAGER='' AWS_MAX_ATTEMPTS=1

install_dir="${IDLE_AUTOSTOP_DIR:-/opt/idle-autostop}"
state_dir="${IDLE_AUTOSTOP_STATE_DIR:-/run/idle-autostop}"
log="${IDLE_AUTOSTOP_LOG:-/var/log/idle-autostop.log}"
unit_dir="${IDLE_AUTOSTOP_UNIT_DIR:-/etc/systemd/system}"
scheduler="${IDLE_AUTOSTOP_SCHEDULER:-auto}"
marker='# idle-autostop'

say() { echo "idle-autostop: $*" | tee -a "$log"; }

fetch() {
  local attempt error
  for attempt in 1 2 3 4; do
    if error=$(timeout 30 aws s3api get-object --region "$SCRIPT_REGION" --bucket "$SCRIPT_BUCKET" --key "$SCRIPT_KEY" \
      --cli-connect-timeout 5 --cli-read-timeout 15 "$install_dir/autostop.py.new" 2>&1 >/dev/null); then
      return 0
    fi
    say "attempt $attempt of 4 to fetch s3://$SCRIPT_BUCKET/$SCRIPT_KEY failed: ${error:-no answer in 30 seconds}"
    case "$error" in
      *AccessDenied* | *'(403)'* | *Forbidden*)
        say "check that the role and the policy of the S3 gateway endpoint allow s3:GetObject on this key, and that the object exists" ;;
      *NoSuch* | *'(404)'*)
        say "check that the bucket and the key exist" ;;
      *)
        say "check that the subnet's route table has the S3 gateway endpoint and that the security group lets HTTPS out to the prefix list of S3" ;;
    esac
    [ "$attempt" = 4 ] || sleep $((attempt * 3))
  done
  return 1
}

verify() {
  local got
  [ -n "$SCRIPT_SHA256" ] || return 0
  got=$(sha256sum "$install_dir/autostop.py.new" | cut -d ' ' -f 1)
  [ "$got" = "$SCRIPT_SHA256" ] && return 0
  say "s3://$SCRIPT_BUCKET/$SCRIPT_KEY is not the script that was deployed (sha256 $got, expected $SCRIPT_SHA256): not installed"
  return 1
}

# The bundled script keeps its own state and log; a script of the user's is called as the AWS sample is.
command_line() {
  local line
  printf -v line '%q %q %s' "$(command -v python3)" "$install_dir/autostop.py" "$AUTOSTOP_FLAGS${IDLE_AUTOSTOP_EXTRA_FLAGS:+ $IDLE_AUTOSTOP_EXTRA_FLAGS}"
  [ -z "$SCRIPT_SHA256" ] || printf -v line '%s --state-dir %q' "$line" "$state_dir"
  printf '%s >> %q 2>&1' "$line" "$log"
}

schedule_systemd() {
  printf '#!/bin/bash\nexport PATH=%q\n%s\n' "$PATH" "$(command_line)" > "$install_dir/check" && chmod 0700 "$install_dir/check" || return 1
  cat > "$unit_dir/idle-autostop.service" << UNIT || return 1
[Unit]
Description=Stop this notebook when it is idle
[Service]
Type=oneshot
ExecStart=/bin/bash "$install_dir/check"
TimeoutStartSec=120
UNIT
  cat > "$unit_dir/idle-autostop.timer" << UNIT || return 1
[Unit]
Description=Look every $CHECK_INTERVAL_MINUTES minutes whether this notebook is idle
[Timer]
OnActiveSec=${CHECK_INTERVAL_MINUTES}min
OnUnitActiveSec=${CHECK_INTERVAL_MINUTES}min
AccuracySec=5s
[Install]
WantedBy=timers.target
UNIT
  systemctl daemon-reload && systemctl enable idle-autostop.timer && systemctl restart idle-autostop.timer &&
    systemctl is-active --quiet idle-autostop.timer
}

schedule_cron() {
  local line
  command -v crontab > /dev/null || { say "neither systemd nor a crontab command is there: nothing can be scheduled"; return 1; }
  line="*/$CHECK_INTERVAL_MINUTES * * * * $(command_line | sed 's/%/\\%/g') $marker"
  # root may have no crontab yet: crontab -l then fails and prints nothing of use.
  { crontab -l 2> /dev/null | grep -vF "$marker"; printf '%s\n' "$line"; } | crontab - || return 1
  crontab -l | grep -qF "$marker"
}

install_autostop() {
  install -d -m 0700 "$install_dir" "$state_dir" || return 1
  fetch && verify && mv -f "$install_dir/autostop.py.new" "$install_dir/autostop.py" && chmod 0600 "$install_dir/autostop.py" || return 1
  [ "$scheduler" != auto ] || { [ -d /run/systemd/system ] && scheduler=systemd || scheduler=cron; }
  "schedule_$scheduler" || { say "the check could not be scheduled with $scheduler"; return 1; }
  say "scheduled with $scheduler every $CHECK_INTERVAL_MINUTES minutes: $AUTOSTOP_FLAGS"
}

user_commands() {
  set -e
  :
# @user-commands@
}

if ! install_autostop; then
  if [ "$ON_FETCH_FAILURE" = fail ]; then
    say 'the notebook does not start, because nothing would stop it when it is idle'
    exit 1
  fi
  say 'the notebook starts WITHOUT autostop: it runs, and costs, until somebody stops it'
fi

(umask 022; unset AWS_MAX_ATTEMPTS AWS_PAGER; user_commands)
status=$?
[ "$status" = 0 ] || say "your own on-start commands failed with status $status"
exit "$status"
