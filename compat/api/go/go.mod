module compat

go 1.25

require github.com/ngrok/ngrok-api-go/v8 v8.0.0
