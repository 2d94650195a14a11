package main

import (
	"context"
	"time"
)

// traffic is what was used since the month began, as CloudWatch has it.
type traffic struct {
	down, up, requests    float64 // of CloudFront, in bytes
	messages, connections float64 // of API Gateway; messages of both directions
	calls, milliseconds   float64 // of the functions
	sent                  float64 // bytes that the origin sent, to whomever
	since                 time.Duration
	err                   error // what could not be asked, if anything
}

func (c *cloud) traffic(ctx context.Context, all []resource, begin, now time.Time) (t traffic) {
	t.since = now.Sub(begin)
	read := func(m metric, name string, to *float64) {
		n, err := m.sum(ctx, name, begin, now)
		if *to += n; err != nil {
			t.err = err
		}
	}
	for _, id := range of(all, "AWS::CloudFront::Distribution") {
		edge := metric{"AWS/CloudFront", []string{"Name=DistributionId,Value=" + id, "Name=Region,Value=Global"}, c.global}
		read(edge, "BytesDownloaded", &t.down)
		read(edge, "BytesUploaded", &t.up)
		read(edge, "Requests", &t.requests)
	}
	for _, id := range of(all, "AWS::ApiGatewayV2::Api") {
		api := metric{"AWS/ApiGateway", []string{"Name=ApiId,Value=" + id}, c.aws}
		read(api, "MessageCount", &t.messages)
		read(api, "ConnectCount", &t.connections)
	}
	for _, name := range of(all, "AWS::Lambda::Function") {
		if t.connections == 0 {
			break // each question takes a second, and nobody called them
		}
		function := metric{"AWS/Lambda", []string{"Name=FunctionName,Value=" + name}, c.aws}
		read(function, "Invocations", &t.calls)
		read(function, "Duration", &t.milliseconds)
	}
	for _, origin := range origins(all) {
		read(metric{"AWS/EC2", []string{origin}, c.aws}, "NetworkOut", &t.sent)
	}
	return t
}

// origins are the dimensions of solo's machine, or of all in the group.
func origins(all []resource) (dimensions []string) {
	for _, id := range of(all, "AWS::EC2::Instance") {
		dimensions = append(dimensions, "Name=InstanceId,Value="+id)
	}
	for _, name := range of(all, "AWS::AutoScaling::AutoScalingGroup") {
		dimensions = append(dimensions, "Name=AutoScalingGroupName,Value="+name)
	}
	return dimensions
}

// metric is where CloudWatch keeps something's numbers.
type metric struct {
	namespace  string
	dimensions []string
	ask        func(context.Context, any, ...string) error
}

// sum adds up a month's days. Unlike get-metric-data this way to ask is free,
// up to a million times a month.
func (m metric) sum(ctx context.Context, name string, begin, end time.Time) (n float64, err error) {
	args := append([]string{"cloudwatch", "get-metric-statistics", "--namespace", m.namespace, "--metric-name", name,
		"--statistics", "Sum", "--period", "86400", "--start-time", begin.Format(time.RFC3339), "--end-time", end.Format(time.RFC3339),
		"--query", "Datapoints[].Sum", "--dimensions"}, m.dimensions...)
	var days []float64
	err = m.ask(ctx, &days, args...)
	for _, d := range days {
		n += d
	}
	return n, err
}
