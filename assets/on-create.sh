#!/bin/bash
# Runs as root once, when the notebook is created.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set -e
# @user-commands@
