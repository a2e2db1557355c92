# Runs its body as a shell script, one call a process.
eval "$(cat)"
