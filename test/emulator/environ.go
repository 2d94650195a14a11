package emulator

import "strconv"

// environ is what a function finds in its environment: Lambda's variables for
// an OS-only runtime and the function's own, nothing of ours [10]. Credentials
// are missing: no function here has a role.
func (s Settings) environ(api, root string) []string {
	env := []string{
		"_HANDLER=bootstrap",
		"AWS_DEFAULT_REGION=" + s.Region,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(s.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME=" + s.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + s.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=local",
		"AWS_LAMBDA_RUNTIME_API=" + api,
		"AWS_REGION=" + s.Region,
		"LAMBDA_RUNTIME_DIR=/var/runtime",
		"LAMBDA_TASK_ROOT=" + root,
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"TZ=:UTC",
	}
	for name, value := range s.Env {
		env = append(env, name+"="+value)
	}
	return env
}
