# Greets whoever the body names: { "name": "Ada" }. stdin is the body, stdout the answer, stderr the log.
name=$(sed -n 's/.*"name" *: *"\([^"]*\)".*/\1/p')
echo "Hello, ${name:-world}!"
