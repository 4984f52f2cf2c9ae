// Carries out the part of ../roles.bicep that needs the job: all others are assigned before job and function app are made.
param jobName string
param dispatcherPrincipalId string
@description('Empty: nobody.')
param operatorsPrincipalId string
param operatorsPrincipalType string

// Its jobs/*/action covers start and stop/execution.
var roleId = 'b9a307c4-5aa3-4b52-ba60-2b17c136cd7b' // Container Apps Jobs Operator
var dispatcher = { id: dispatcherPrincipalId, type: 'ServicePrincipal' }
var operators = { id: operatorsPrincipalId, type: operatorsPrincipalType }
var who = empty(operatorsPrincipalId) ? [dispatcher] : [dispatcher, operators]

resource job 'Microsoft.App/jobs@2024-03-01' existing = {
  name: jobName
}

resource jobRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for item in who: {
  name: guid(job.id, item.id, roleId)
  scope: job
  properties: {
    principalId: item.id
    principalType: item.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
  }
}]
